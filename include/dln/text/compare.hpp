#pragma once
// From a generated text to "right" or "wrong". Pure.

#include <string>
#include <string_view>

namespace dln {

/// Exact match after trimming, the first line only; `ignore_case` folds ASCII letters.
[[nodiscard]] bool exact_match(std::string_view output, std::string_view target, bool ignore_case);

/// True when `target`, a number, occurs in `output` as a whole number (1 does not occur in 12
/// or 1.5; thousands separators and a trailing full stop are understood).
[[nodiscard]] bool number_present(std::string_view output, std::string_view target);

/// `text` without a trailing block that begins with a line "Options:".
[[nodiscard]] std::string_view strip_options(std::string_view text);

}  // namespace dln
