#include "scripted.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

#include "dln/error.hpp"

namespace fake_llm {

ScriptedLines ScriptedLines::read(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        throw dln::UsageError(
            fmt::format("{}: cannot read the scripted replies: {}", path, std::strerror(errno)));
    }
    ScriptedLines lines;
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            lines.add_line(line, fmt::format("{}:{}", path, number));
        }
    }
    return lines;
}

void ScriptedLines::add_line(const std::string& line, const std::string& place) {
    try {
        const nlohmann::json object = nlohmann::json::parse(line);
        std::string match = object.at("match");
        if (object.contains("text")) {
            texts_.push_back({std::move(match), object.at("text")});
        } else {
            scores_.push_back({std::move(match), object.at("target"), object.at("log_prob")});
        }
    } catch (const nlohmann::json::exception& error) {
        throw dln::UsageError(fmt::format(
            "{}: expected \"match\" and \"text\", or \"match\", \"target\" and \"log_prob\": {}",
            place, error.what()));
    }
}

std::optional<std::string> ScriptedLines::text(std::string_view context) const {
    for (const TextLine& line : texts_) {
        if (context.find(line.match) != std::string_view::npos) {
            return line.text;
        }
    }
    return std::nullopt;
}

std::optional<ScriptedLines::Tail> ScriptedLines::scored_tail(std::string_view text) const {
    for (const ScoreLine& line : scores_) {
        if (text.ends_with(line.target)) {
            const std::size_t begin = text.size() - line.target.size();
            if (text.substr(0, begin).find(line.match) != std::string_view::npos) {
                return Tail{begin, line.log_prob};
            }
        }
    }
    return std::nullopt;
}

std::optional<double> ScriptedLines::next_piece(std::string_view text,
                                                std::string_view piece) const {
    for (const ScoreLine& line : scores_) {
        const std::string_view target = line.target;
        for (std::size_t done = 0; done < target.size(); ++done) {
            if (target.substr(done).starts_with(piece) && text.ends_with(target.substr(0, done)) &&
                text.substr(0, text.size() - done).find(line.match) != std::string_view::npos) {
                return line.log_prob;
            }
        }
    }
    return std::nullopt;
}

}  // namespace fake_llm
