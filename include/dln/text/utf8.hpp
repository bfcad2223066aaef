#pragma once
// Text as other people's data: checking, showing, cutting. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dln {

/// Offset of the first byte that is not valid UTF-8 (overlong forms and surrogates are invalid).
[[nodiscard]] std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// `text` with each invalid byte replaced by U+FFFD.
[[nodiscard]] std::string replace_invalid_utf8(std::string_view text);

/// For terminals and logs: one line, control characters (ESC, NUL, C1, bidirectional overrides)
/// written as \n, \t, \x1b, \u202e, cut to `max_characters` code points with "..." when longer.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_characters = 200);

/// Without white space (ASCII) at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// With small ASCII letters; other bytes stay.
[[nodiscard]] std::string lowered(std::string_view text);

/// "12,345": digits in threes, for people.
[[nodiscard]] std::string grouped(std::int64_t value);

/// The entry of `known` that `word` was probably meant to be (edit distance), if any is near.
[[nodiscard]] std::optional<std::string> near_miss(std::string_view word,
                                                   const std::vector<std::string>& known);

}  // namespace dln
