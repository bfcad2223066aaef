// dln compare: runs on the same test data, side by side.

#include <algorithm>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/cli/commands.hpp"
#include "dln/error.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/text/utf8.hpp"

#include "cli/comparison.hpp"
#include "cli/comparison_report.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

struct CompareOptions {
    std::vector<std::string> runs;
    std::string against;  // a run or, in groups, a group's name; empty: the first
    bool by_group = false;
    bool json = false;
};

bool is_same_directory(const std::string& a, const std::string& b) {
    std::error_code failure;
    return a == b || fs::equivalent(a, b, failure);
}

void check_different(const std::vector<std::string>& runs) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (!is_same_directory(runs[i], runs[j])) continue;
            throw UsageError(
                fmt::format("{} and {} are the same run directory. Expected each run once.",
                            printable(runs[j]), printable(runs[i])));
        }
    }
}

// Index of the run to compare with. With --group a name of theirs stands for its first run.
std::size_t find_against(const CompareOptions& options, const std::vector<RunSummary>& runs) {
    if (options.against.empty()) return 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (is_same_directory(runs[i].path, options.against)) return i;
    }
    std::vector<std::string> names;
    for (std::size_t i = 0; i < runs.size() && options.by_group; ++i) {
        if (runs[i].name == options.against) return i;
        names.push_back(runs[i].name);
    }
    const auto near = near_miss(options.against, names);
    throw UsageError(fmt::format(
        "--against {}: is none of the runs{}. Expected one of them{}.{}",
        printable(options.against), options.by_group ? " and no name of their jobs" : "",
        options.by_group ? ", or the name of a group" : "",
        near ? fmt::format(" Did you mean \"{}\"?", printable(*near)) : std::string()));
}

// A baseline that is not in the list is compared all the same.
void add_against(CompareOptions& options) {
    const auto is_against = [&](const std::string& run) {
        return is_same_directory(run, options.against);
    };
    std::error_code failure;
    if (options.against.empty() || std::ranges::any_of(options.runs, is_against) ||
        !fs::is_directory(options.against, failure)) {
        return;
    }
    // A directory may have the name of a group.
    if (options.by_group && !RunDirectory(options.against).holds_run()) return;
    options.runs.insert(options.runs.begin(), options.against);
}

int run_compare(CompareOptions options) {
    add_against(options);
    if (options.runs.size() < 2) {
        throw UsageError(
            fmt::format("one run, {}, and nothing to compare it with. Expected two or more run "
                        "directories.",
                        printable(options.runs.front())));
    }
    check_different(options.runs);
    std::vector<RunSummary> runs;
    for (const std::string& path : options.runs) runs.push_back(read_run_summary(path));
    const std::size_t against = find_against(options, runs);
    const Comparison comparison = compare_runs(std::move(runs), against, options.by_group);
    if (options.json) {
        fmt::print("{}\n", comparison_json(comparison)
                               .dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
        fmt::print("{}", comparison_text(comparison));
    }
    return 0;
}

}  // namespace

void add_compare_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<CompareOptions>();
    CLI::App* command = app.add_subcommand(
        "compare", "Compare runs on the same test data: accuracy, paired tests, costs");
    command->add_option("runs", options->runs, "Run directories, complete or not")
        ->required()
        ->type_name("RUN");
    command
        ->add_option("--against", options->against,
                     "The run that the others are compared with (default: the first)")
        ->type_name("RUN");
    command->add_flag(
        "--group", options->by_group,
        "Compare groups of runs whose jobs have the same name, such as several seeds");
    command->add_flag("--json", options->json, "Print the comparison as JSON");
    command->footer(
        "Each run is tested against one: paired bootstrap of 10,000 resamples, exact McNemar. "
        "With\n"
        "--group runs of several seeds are one method: mean and deviation over runs, and a\n"
        "permutation test of the means. It needs runs: three against three give no p below 0.1.\n"
        "Examples pooled over seeds are not tested, as they are not independent.\n"
        "Examples:  dln compare runs/zero-shot runs/dln1 runs/dln2\n"
        "           dln compare runs/*-seed* --group --against dln1");
    command->callback([options, &chosen] { chosen = [options] { return run_compare(*options); }; });
}

}  // namespace dln
