#pragma once
// Lines with a checksum. Pure. Private to src/store.

#include <string>
#include <string_view>

namespace dln {

/// Closes `fields`, an object without its last brace, with their checksum, the brace and a line feed.
[[nodiscard]] std::string sealed_line(std::string fields);

/// Whether the checksum of `line` (without line feed) is that of its fields.
[[nodiscard]] bool is_sealed(std::string_view line);

}  // namespace dln
