#include "dln/data/read.hpp"

#include <algorithm>

#include "dln/error.hpp"

#include "formats.hpp"

namespace dln {

Dataset read_split(const SplitSpec& spec, const std::vector<std::string>& class_names) {
    ExampleSink sink(spec, class_names);
    LineReader file(spec.path);
    switch (spec.format) {
        case DataFormat::json_lines:
            read_json_lines(file, sink);
            return sink.take(R"(one {"input": ..., "target": ...} a line is needed)");
        case DataFormat::csv:
            read_csv(file, sink);
            return sink.take("a header line and one row an example are needed");
        case DataFormat::bbh:
            read_bbh(file, sink);
            return sink.take(R"({"examples": [{"input": ..., "target": ...}, ...]} is needed)");
    }
    throw InternalError("a data format that does not exist");
}

std::optional<DataFormat> format_by_extension(std::string_view path) {
    const auto dot = path.find_last_of("./");
    if (dot == std::string_view::npos) {
        return std::nullopt;
    }
    std::string extension(path.substr(dot));
    std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (extension == ".jsonl") {
        return DataFormat::json_lines;
    }
    if (extension == ".csv") {
        return DataFormat::csv;
    }
    return extension == ".json" ? std::optional(DataFormat::bbh) : std::nullopt;
}

}  // namespace dln
