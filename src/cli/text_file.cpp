#include "cli/text_file.hpp"

#include <fstream>
#include <sstream>

namespace dln {

std::optional<std::string> read_text_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    if (file.bad()) return std::nullopt;
    return std::move(text).str();
}

nlohmann::json read_json_file(const std::string& path) {
    return nlohmann::json::parse(read_text_file(path).value_or(""), nullptr, false);
}

std::string shown_path(const std::string& path) {
    std::error_code failed;
    const auto here = std::filesystem::proximate(path, failed);
    return failed || here.native().starts_with("..") ? path : here.native();
}

}  // namespace dln
