#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dln/cli/commands.hpp"
#include "dln/data/actions.hpp"
#include "dln/data/generate.hpp"
#include "dln/data/read.hpp"
#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

/// "positive 200, negative 200"; of many only their number: "731 different targets".
template <typename Counts, typename Name>
std::string counted(const Counts& counts, Name name, std::string_view what) {
    constexpr std::size_t kShown = 10;
    if (counts.size() > kShown) {
        return fmt::format("{} different {}", counts.size(), what);
    }
    std::string text;
    for (const auto& entry : counts) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", printable(entry.*name, 40),
                            entry.count);
    }
    return text;
}

/// The files, their targets, tasks and digests.
int print_summary(const DataSummary& summary) {
    for (const auto& part : summary.parts) {
        const auto tasks =
            part.tasks.empty()
                ? std::string()
                : fmt::format("; tasks: {}", counted(part.tasks, &TaskCount::task, "tasks"));
        fmt::print("{}: {} examples ({}{}), sha256 {:.12}\n", part.path, part.examples,
                   counted(part.targets, &TargetCount::target, "targets"), tasks, part.digest);
    }
    if (summary.repeated > 0) {
        fmt::print("left out {} examples whose input had come before\n", summary.repeated);
    }
    return static_cast<int>(ExitCode::complete);
}

/// Lets `action` (polarity, ...) run `run` on its options when it was parsed.
template <typename Options, typename Run>
void run_when_parsed(CLI::App* action,
                     std::shared_ptr<Options> options,
                     std::function<int()>& chosen,
                     Run run) {
    action->callback([options = std::move(options), &chosen, run] {
        chosen = [options, run] { return print_summary(run(*options)); };
    });
}

void add_sizes(CLI::App* action, SplitSizes& sizes, std::uint64_t& seed) {
    action->add_option("--train", sizes.train, "Examples in train.jsonl; 0: no such file")
        ->capture_default_str();
    action->add_option("--dev", sizes.dev, "Examples in dev.jsonl; 0: no such file")
        ->capture_default_str();
    action->add_option("--test", sizes.test, "Examples in test.jsonl; 0: no such file")
        ->capture_default_str();
    action->add_option("--seed", seed, "The same seed makes the same files")->capture_default_str();
}

void add_out_dir(CLI::App* action, std::string& out_dir) {
    action->add_option("-o,--out", out_dir, "Folder for train.jsonl, dev.jsonl and test.jsonl")
        ->required()
        ->type_name("DIR");
}

/// What the command line says of a data file; `resolve` makes a SplitSpec of it.
struct Source {
    std::string path;
    std::string format;
    std::string input_field = "input";
    std::string target_field = "target";
    std::string task_field;
    std::vector<std::string> labels;
    std::vector<std::string> classes;
    std::size_t limit = 0;
};

void add_source(CLI::App* action, Source& source) {
    action->add_option("file", source.path, "Data file (UTF-8)")->required()->type_name("FILE");
    action
        ->add_option("--format", source.format,
                     "Default: by the ending .jsonl, .csv or .json (bbh)")
        ->type_name("json_lines|csv|bbh");
    action->add_option("--input-field", source.input_field, "Field or column of the input")
        ->capture_default_str();
    action->add_option("--target-field", source.target_field, "Field or column of the target")
        ->capture_default_str();
    action->add_option("--task-field", source.task_field,
                       "Field or column of the task, kept as \"task\"; default: none");
    action->add_option("--label", source.labels, "Rename a target of the file; repeatable")
        ->allow_extra_args(false)
        ->type_name("VALUE=TARGET");
    action->add_option("--class", source.classes, "Allow only these targets; repeatable")
        ->allow_extra_args(false)
        ->type_name("TARGET");
    action->add_option("--limit", source.limit, "Read only the first so many examples; 0: all")
        ->capture_default_str();
}

DataFormat format_by_ending(const std::string& path, std::string_view remedy) {
    if (const auto format = format_by_extension(path)) {
        return *format;
    }
    throw UsageError(fmt::format("{}: its ending does not tell the format; {}", path, remedy));
}

DataFormat format_of(const Source& source) {
    static const std::map<std::string, DataFormat> kFormats{
        {"json_lines", DataFormat::json_lines}, {"csv", DataFormat::csv}, {"bbh", DataFormat::bbh}};
    if (source.format.empty()) {
        return format_by_ending(source.path,
                                "add --format json_lines, --format csv or --format bbh");
    }
    const auto format = kFormats.find(source.format);
    if (format == kFormats.end()) {
        const auto near = near_miss(source.format, {"json_lines", "csv", "bbh"});
        throw UsageError(fmt::format("--format \"{}\": expected one of json_lines, csv, bbh.{}",
                                     printable(source.format, 60),
                                     near ? fmt::format(" Did you mean \"{}\"?", *near) : ""));
    }
    return format->second;
}

SplitSpec resolve(const Source& source) {
    SplitSpec spec{.path = source.path,
                   .format = format_of(source),
                   .input_field = source.input_field,
                   .target_field = source.target_field,
                   .task_field = {},
                   .labels = {},
                   .limit = source.limit};
    if (!source.task_field.empty()) {
        spec.task_field = source.task_field;
    }
    for (const auto& label : source.labels) {
        const auto equals = label.find('=');
        if (equals == std::string::npos) {
            throw UsageError(
                fmt::format("--label \"{}\": expected VALUE=TARGET, e.g. --label 0=negative",
                            printable(label, 60)));
        }
        spec.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
    }
    return spec;
}

void add_polarity(CLI::App* data, std::function<int()>& chosen) {
    auto options = std::make_shared<PolarityOptions>();
    auto* action = data->add_subcommand("polarity", "Word polarity, the task of the quick start");
    action
        ->add_option("--lexicon", options->lexicon,
                     "vader_lexicon.txt of the PyPI package vaderSentiment")
        ->required()
        ->type_name("FILE");
    add_out_dir(action, options->out_dir);
    action->footer(
        "Is a word positive or negative? 200 train, 100 dev and 400 test words of the VADER "
        "lexicon,\n"
        "always the same ones.\n\n"
        "Example:\n  dln data polarity --lexicon vader_lexicon.txt --out data/polarity");
    run_when_parsed(action, options, chosen, make_polarity);
}

void add_generate(CLI::App* data, std::function<int()>& chosen) {
    auto options = std::make_shared<GenerateOptions>();
    auto* action = data->add_subcommand("generate", "Tasks made from rules and tables");
    action->add_option("task", options->task, "One of the tasks below")
        ->required()
        ->type_name("TASK");
    add_sizes(action, options->sizes, options->seed);
    add_out_dir(action, options->out_dir);
    std::vector<std::string> with_classes;
    std::vector<std::string> with_texts;
    for (const auto& name : generated_task_names()) {
        (generated_task_classes(name).empty() ? with_texts : with_classes).push_back(name);
    }
    action->footer(
        fmt::format("Tasks whose targets are classes, equally often each:\n  {}\n"
                    "Instructions with a short text as target; what they are about (countries, "
                    "words, numbers,\n"
                    "names) is in one of the files only, whatever the seed:\n  {}\n"
                    "No example comes twice, also not in two files.\n\n"
                    "Example:\n  dln data generate navigate --train 200 --dev 100 --test 400 --out "
                    "data/navigate",
                    fmt::join(with_classes, ", "), fmt::join(with_texts, ", ")));
    run_when_parsed(action, options, chosen, make_generated);
}

void add_convert(CLI::App* data, std::function<int()>& chosen) {
    struct Options {
        Source source;
        std::string out;
    };
    auto options = std::make_shared<Options>();
    auto* action =
        data->add_subcommand("convert", "JSON lines from CSV, BIG-Bench Hard or other fields");
    add_source(action, options->source);
    action->add_option("-o,--out", options->out, "JSON lines file to write")
        ->required()
        ->type_name("FILE");
    action->footer(
        "Example:\n  dln data convert reviews.csv --input-field text --target-field label \\\n"
        "      --label 0=negative --label 1=positive --out data/reviews.jsonl");
    run_when_parsed(action, options, chosen, [](const Options& o) {
        return convert({.from = resolve(o.source), .classes = o.source.classes, .out = o.out});
    });
}

void add_split(CLI::App* data, std::function<int()>& chosen) {
    struct Options {
        Source source;
        SplitFileOptions split;
    };
    auto options = std::make_shared<Options>();
    auto* action = data->add_subcommand("split", "One file into train, dev and test, at random");
    add_source(action, options->source);
    add_sizes(action, options->split.sizes, options->split.seed);
    action->add_flag("--balanced", options->split.balanced,
                     "Every target equally often in each part");
    add_out_dir(action, options->split.out_dir);
    action->footer(
        "Of examples with the same input only the first is used, so that no input is in two "
        "parts.\n\n"
        "Example:\n  dln data split reviews.jsonl --train 500 --dev 200 --test 1000 --balanced \\\n"
        "      --out data/reviews");
    run_when_parsed(action, options, chosen, [](const Options& o) {
        auto split = o.split;
        split.from = resolve(o.source);
        split.classes = o.source.classes;
        return split_file(split);
    });
}

void add_mix(CLI::App* data, std::function<int()>& chosen) {
    struct Options {
        std::vector<std::string> tasks;
        std::size_t limit = 0;
        std::string out;
        bool shuffle = false;
        std::uint64_t seed = 0;
    };
    auto options = std::make_shared<Options>();
    auto* action =
        data->add_subcommand("mix", "Files of several tasks as one file with task names");
    action->add_option("--task", options->tasks, "A task and its data file; repeatable")
        ->required()
        ->allow_extra_args(false)
        ->type_name("NAME=FILE");
    action
        ->add_option("--limit", options->limit,
                     "Read only the first so many examples of each file; 0: all")
        ->capture_default_str();
    auto* shuffle = action->add_flag("--shuffle", options->shuffle,
                                     "In random order, instead of file after file");
    action->add_option("--seed", options->seed, "The same seed makes the same order")
        ->capture_default_str()
        ->needs(shuffle);
    action->add_option("-o,--out", options->out, "JSON lines file to write")
        ->required()
        ->type_name("FILE");
    action->footer(
        "Files are JSON lines, CSV or BIG-Bench Hard, by their ending, with input and target; each "
        "example\n"
        "gets the field \"task\". For other fields see dln data convert.\n\n"
        "Example:\n  dln data mix --task polarity=data/polarity/train.jsonl \\\n"
        "      --task navigate=data/navigate/train.jsonl --shuffle --out data/mixed/train.jsonl");
    run_when_parsed(action, options, chosen, [](const Options& o) {
        MixOptions wanted{.sources = {}, .out = o.out, .seed = {}};
        if (o.shuffle) {
            wanted.seed = o.seed;
        }
        for (const auto& task : o.tasks) {
            const auto equals = task.find('=');
            if (equals == std::string::npos) {
                throw UsageError(fmt::format(
                    "--task \"{}\": expected NAME=FILE, e.g. --task polarity=train.jsonl",
                    printable(task, 60)));
            }
            SplitSpec from;
            from.path = task.substr(equals + 1);
            from.format = format_by_ending(from.path, "dln data convert makes JSON lines of it");
            from.limit = o.limit;
            wanted.sources.push_back({.task = task.substr(0, equals), .from = from});
        }
        return mix(wanted);
    });
}

}  // namespace

void add_data_command(CLI::App& app, std::function<int()>& chosen) {
    auto* data =
        app.add_subcommand("data", "Make data files: polarity, generate, convert, split, mix");
    data->require_subcommand(1);
    data->footer(
        "Files are JSON lines, {\"input\": ..., \"target\": ...}.\n\nExample:\n"
        "  dln data generate adjective-order --out data/adjective-order\n"
        "  dln data convert --help");
    add_polarity(data, chosen);
    add_generate(data, chosen);
    add_convert(data, chosen);
    add_split(data, chosen);
    add_mix(data, chosen);
}

}  // namespace dln
