#include "cli/predict_lines.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/text/utf8.hpp"

#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestCause = 400;

std::string input_text(const std::string& path) {
    if (path != "-") {
        auto text = read_text_file(path);
        if (!text) throw UsageError(fmt::format("{}: cannot be read", path));
        return std::move(*text);
    }
    std::ostringstream text;
    text << std::cin.rdbuf();
    return std::move(text).str();
}

}  // namespace

Lines read_lines(const std::string& path, const std::string& field) {
    const std::string text = input_text(path);
    const std::string name = path == "-" ? "standard input" : path;
    Lines lines;
    std::istringstream stream(text);
    std::string line;
    for (std::size_t number = 1; std::getline(stream, line); ++number) {
        if (trim(line).empty()) continue;
        Json object = Json::parse(line, nullptr, false);
        if (object.is_discarded() || !object.is_object()) {
            throw UsageError(
                fmt::format("{}:{}: not a JSON object: {}. Expected a line like "
                            "{{\"{}\": \"...\"}}",
                            name, number, printable(line, 60), field));
        }
        if (!object.contains(field) || !object[field].is_string()) {
            throw UsageError(fmt::format("{}:{}: no text field \"{}\". Name the field with --field",
                                         name, number, field));
        }
        lines.inputs.add(object[field].get<std::string>(), "");
        lines.objects.push_back(std::move(object));
    }
    if (lines.objects.empty()) throw UsageError(fmt::format("{}: no line to predict", name));
    return lines;
}

void check_output(const std::string& path) {
    namespace fs = std::filesystem;
    if (path == "-") return;
    std::error_code failure;
    if (fs::is_directory(path, failure)) {
        throw UsageError(
            fmt::format("--output {}: is a directory. Expected a file", printable(path)));
    }
    const fs::path parent = fs::path(path).parent_path();
    const std::string directory = parent.empty() ? "." : parent.string();
    if (!fs::is_directory(directory, failure)) {
        throw UsageError(fmt::format("--output {}: there is no directory {}. Make it first",
                                     printable(path), printable(directory)));
    }
    if (::access(directory.c_str(), W_OK) != 0) {
        throw UsageError(fmt::format("--output {}: cannot write in {}: {}. Name another file",
                                     printable(path), printable(directory), std::strerror(errno)));
    }
}

void write_output(const std::string& path, const std::string& text) {
    if (path == "-") {
        fmt::print("{}", text);
    } else {
        durable_write(path, text);
    }
}

void annotate_failure(Json& object, const std::string& why) {
    object["output"] = nullptr;
    object["error"] = printable(why, kLongestCause);
}

}  // namespace dln
