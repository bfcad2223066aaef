#include "dln/data/actions.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include <fmt/format.h>

#include "dln/data/generate.hpp"
#include "dln/data/polarity.hpp"
#include "dln/data/read.hpp"
#include "dln/data/write.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

std::vector<PartSize> part_sizes(const SplitSizes& sizes) {
    return {{"train", sizes.train}, {"dev", sizes.dev}, {"test", sizes.test}};
}

std::string part_path(const std::string& out_dir, const std::string& name) {
    return (std::filesystem::path(out_dir) / (name + ".jsonl")).string();
}

PartSummary write_part(const std::string& path, const Dataset& examples) {
    write_json_lines(path, examples);
    std::map<std::string_view, std::size_t> counts;
    for (std::size_t i = 0; i < examples.size(); ++i) {
        ++counts[examples[i].target];
    }
    PartSummary summary{
        .path = path, .examples = examples.size(), .targets = {}, .digest = examples.digest()};
    for (const auto& [target, count] : counts) {
        summary.targets.push_back({.target = std::string(target), .count = count});
    }
    std::stable_sort(summary.targets.begin(), summary.targets.end(),
                     [](const auto& a, const auto& b) { return a.count > b.count; });
    return summary;
}

DataSummary write_parts(const std::string& out_dir, const std::vector<Part>& parts) {
    DataSummary summary;
    for (const auto& part : parts) {
        if (!part.examples.empty()) {
            summary.parts.push_back(write_part(part_path(out_dir, part.name), part.examples));
        }
    }
    return summary;
}

void check_sizes(const SplitSizes& sizes) {
    if (sizes.train == 0 && sizes.dev == 0 && sizes.test == 0) {
        throw UsageError(
            "train, dev and test are all of size 0; at least one part must have examples");
    }
}

/// An older file of a part that is not wanted now would pass for one of the new files.
void check_no_left_over(const std::string& out_dir, const std::vector<PartSize>& parts) {
    for (const auto& part : parts) {
        const std::string path = part_path(out_dir, part.name);
        std::error_code absent;
        if (part.size == 0 && std::filesystem::exists(path, absent)) {
            throw UsageError(fmt::format(
                "{}: is there already, but --{} 0 makes no such file, and it would stand "
                "beside the new ones as if it belonged to them. Remove it, or write to "
                "another folder",
                path, part.name));
        }
    }
}

/// The source of data is never replaced by what was made of it.
void check_not_source(const std::string& source, const std::string& out) {
    std::error_code absent;
    if (std::filesystem::equivalent(source, out, absent)) {
        throw UsageError(fmt::format("{}: is the file that is read; write to another place", out));
    }
}

}  // namespace

DataSummary make_polarity(const PolarityOptions& options) {
    return write_parts(options.out_dir, polarity_parts(options.lexicon));
}

DataSummary make_generated(const GenerateOptions& options) {
    check_sizes(options.sizes);
    check_no_left_over(options.out_dir, part_sizes(options.sizes));
    return write_parts(options.out_dir,
                       generate_parts(options.task, part_sizes(options.sizes), options.seed));
}

DataSummary convert(const ConvertOptions& options) {
    check_not_source(options.from.path, options.out);
    DataSummary summary;
    summary.parts.push_back(write_part(options.out, read_split(options.from, options.classes)));
    return summary;
}

DataSummary split_file(const SplitFileOptions& options) {
    check_sizes(options.sizes);
    const auto sizes = part_sizes(options.sizes);
    for (const auto& part : sizes) {
        check_not_source(options.from.path, part_path(options.out_dir, part.name));
    }
    check_no_left_over(options.out_dir, sizes);
    const auto split =
        split_dataset(read_split(options.from, options.classes),
                      {.parts = sizes, .balanced = options.balanced, .seed = options.seed});
    auto summary = write_parts(options.out_dir, split.parts);
    summary.repeated = split.repeated;
    return summary;
}

}  // namespace dln
