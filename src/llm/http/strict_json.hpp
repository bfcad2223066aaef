#pragma once
// Replies as other people's data: read strictly and without recursion, so that what is cut, garbled or
// hostile becomes a reason instead of a crash or a guess. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace dln::http {

using Json = nlohmann::json;
using TokenId = std::int32_t;

struct ParsedReply {
    Json value;
    std::string error;  ///< printable; empty when `value` is the reply
    [[nodiscard]] bool ok() const noexcept { return error.empty(); }
};

/// Parses a whole body. Not accepted: anything but one JSON value, invalid UTF-8, lone surrogates, a key
/// twice in one object, nesting deeper than 64, NaN, Infinity, numbers beyond double or 64 bits. The values
/// of "top_logprobs", "prompt_logprobs" and "text_offset", which no dialect reads, are null whatever they were.
[[nodiscard]] ParsedReply parse_reply(std::string_view body);

/// The text of `key` in the outermost object, without reading the rest; empty when there is none, or the body
/// is seen to be no JSON.
[[nodiscard]] std::string outermost_text(std::string_view body, std::string_view key);

/// The member `key` of an object; null when `value` is no object or has none.
[[nodiscard]] const Json* member(const Json& value, std::string_view key);
[[nodiscard]] const Json* member(const Json* value, std::string_view key);

[[nodiscard]] std::optional<std::int64_t> whole_number(const Json* value);
/// A number of tokens: whole, not negative and small enough to be added up.
[[nodiscard]] std::optional<std::int64_t> token_count(const Json* value);
/// The text; null when `value` is none.
[[nodiscard]] const std::string* text_of(const Json* value);
/// In 0..2^31-1.
[[nodiscard]] std::optional<TokenId> token_id(const Json* value);
/// An array of token ids.
[[nodiscard]] std::optional<std::vector<TokenId>> token_list(const Json* value);

/// One line of JSON.
[[nodiscard]] std::string body_of(const Json& value);

/// What the server said about an error, for people: its message, or the beginning of the body. Printable,
/// at most some 200 characters.
[[nodiscard]] std::string server_words(std::string_view body);

}  // namespace dln::http
