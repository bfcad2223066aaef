#include "dln/store/metrics_lines.hpp"

#include <fstream>

#include <nlohmann/json.hpp>

namespace dln {

bool has_metrics_line(const std::string& path, std::string_view split, std::int64_t step) {
    std::ifstream metrics(path);
    for (std::string line; std::getline(metrics, line);) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        if (json.is_object() && json.value("split", std::string()) == split &&
            json.value("step", std::int64_t{-1}) == step) {
            return true;
        }
    }
    return false;
}

}  // namespace dln
