#pragma once
// Where two JSON texts differ, told to a person. Pure.

#include <string>

#include <nlohmann/json.hpp>

namespace dln {

/// A line for each place where `now` differs from `before`, its JSON pointer and both values, indented; the first ten,
/// and how many more there are. Empty: they are equal.
[[nodiscard]] std::string differences(const nlohmann::ordered_json& before,
                                      const nlohmann::ordered_json& now);

}  // namespace dln
