#include "dln/data/actions.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "dln/data/generate.hpp"
#include "dln/data/polarity.hpp"
#include "dln/data/read.hpp"
#include "dln/data/write.hpp"
#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

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
    PartSummary summary{.path = path,
                        .examples = examples.size(),
                        .targets = {},
                        .tasks = {},
                        .digest = examples.digest()};
    for (const auto& task : examples.task_names()) {
        summary.tasks.push_back({.task = task, .count = 0});
    }
    for (std::size_t i = 0; examples.has_tasks() && i < examples.size(); ++i) {
        ++summary.tasks[examples.task(i)].count;
    }
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

void check_task_names(const std::vector<TaskSource>& sources) {
    if (sources.empty()) {
        throw UsageError("nothing to mix: no task is named");
    }
    std::set<std::string_view> names;
    for (const auto& source : sources) {
        const auto shown = printable(source.task, 60);
        if (source.task.empty()) {
            throw UsageError(fmt::format(
                "{}: its task has no name; at least one character is needed", source.from.path));
        }
        if (const auto at = find_invalid_utf8(source.task)) {
            throw UsageError(fmt::format("task \"{}\": invalid UTF-8 at byte {}", shown, *at + 1));
        }
        if (!names.insert(source.task).second) {
            throw UsageError(
                fmt::format("task \"{}\" is named twice; each task has one file, so put "
                            "its examples into one",
                            shown));
        }
    }
}

Dataset in_random_order(const Dataset& examples, std::uint64_t seed) {
    Dataset result;
    CounterRng rng({.seed = seed, .role = RandomRole::data_split});
    for (const auto index : rng.permutation(examples.size())) {
        result.add_from(examples, index);
    }
    return result;
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

DataSummary mix(const MixOptions& options) {
    check_task_names(options.sources);
    for (const auto& source : options.sources) {
        check_not_source(source.from.path, options.out);
    }
    Dataset mixed;
    for (const auto& source : options.sources) {
        const auto examples = read_split(source.from);
        for (std::size_t i = 0; i < examples.size(); ++i) {
            mixed.add(examples[i].input, examples[i].target, source.task);
        }
    }
    DataSummary summary;
    summary.parts.push_back(
        write_part(options.out, options.seed ? in_random_order(mixed, *options.seed) : mixed));
    return summary;
}

}  // namespace dln
