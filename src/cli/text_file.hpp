#pragma once
// Whole text files, and how their paths are shown.

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace dln {

/// The bytes of the file at `path`, or nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> read_text_file(const std::string& path);

/// The same as JSON; discarded (no object, no array) when there is no such file or it is damaged.
[[nodiscard]] nlohmann::json read_json_file(const std::string& path);

/// `path` as a user would type it from here.
[[nodiscard]] std::string shown_path(const std::string& path);

}  // namespace dln
