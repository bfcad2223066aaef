#pragma once
// Base64 (RFC 4648, with padding) for bytes in JSON that are no text. Pure. Private to src/store.

#include <optional>
#include <string>
#include <string_view>

namespace dln {

[[nodiscard]] std::string to_base64(std::string_view bytes);

/// nullopt when `text` is not what to_base64 makes.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace dln
