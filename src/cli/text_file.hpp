#pragma once
// Whole text files.

#include <optional>
#include <string>

namespace dln {

/// The bytes of the file at `path`, or nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> read_text_file(const std::string& path);

}  // namespace dln
