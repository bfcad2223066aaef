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

[[nodiscard]] inline nlohmann::json list_of(const std::vector<std::string>& texts) {
    nlohmann::json list = nlohmann::json::array();
    for (const std::string& text : texts) list.push_back(bytes_of(text));
    return list;
}

[[nodiscard]] inline std::vector<std::string> texts_of(const nlohmann::json& list) {
    std::vector<std::string> texts;
    for (const nlohmann::json& text : list) texts.push_back(text_of(text));
    return texts;
}

[[nodiscard]] inline std::string encode(const nlohmann::json& value) {
    std::string bytes;
    nlohmann::json::to_cbor(value, nlohmann::detail::output_adapter<char>(bytes));
    return bytes;
}

}  // namespace dln::cbor
