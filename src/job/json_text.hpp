#pragma once
// JSON as people write it: with comments, and with slips that must be told apart from data.

#include <string>
#include <string_view>

#include "job/shape.hpp"

namespace dln::job {

/// Parses JSON with // and /* */ comments. Throws UsageError naming `file` with line and column for
/// a syntax error, with the offset for invalid UTF-8, and with the JSON pointer for a key that an
/// object has twice or for nesting deeper than 64.
[[nodiscard]] Json parse_json_text(std::string_view text, const std::string& file);

}  // namespace dln::job
