#pragma once
// A comparison for people and for programs. Rank 0 only.

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/comparison.hpp"

namespace dln {

/// Tables of at most 100 columns, unless numbers are very large; ends with a line break.
[[nodiscard]] std::string comparison_text(const Comparison& comparison);

/// The same as JSON (docs/comparing.md); nothing is rounded or cut.
[[nodiscard]] nlohmann::ordered_json comparison_json(const Comparison& comparison);

}  // namespace dln
