#pragma once
// CBOR as rank 0 and the others speak it: texts are any bytes, so they go as byte strings.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace dln::cbor {

[[nodiscard]] inline nlohmann::json bytes_of(const std::string& text) {
    return nlohmann::json::binary(std::vector<std::uint8_t>(text.begin(), text.end()));
}

[[nodiscard]] inline std::string text_of(const nlohmann::json& value) {
    const auto& bytes = value.get_binary();
    return {bytes.begin(), bytes.end()};
}

[[nodiscard]] inline std::string encode(const nlohmann::json& value) {
    std::string bytes;
    nlohmann::json::to_cbor(value, nlohmann::detail::output_adapter<char>(bytes));
    return bytes;
}

}  // namespace dln::cbor
