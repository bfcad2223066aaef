// dln sweep best: the best configuration, and the commands that show, use and train it.

#include <algorithm>
#include <cctype>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "cli/sweep_report.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

// What a shell takes for this text, whatever it is.
std::string shell_word(const std::string& text) {
    static constexpr std::string_view kPlain = "_/=.,:+-";
    const auto is_plain = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               kPlain.find(c) != std::string_view::npos;
    };
    if (!text.empty() && std::ranges::all_of(text, is_plain)) return text;
    std::string word = "'";
    for (const char c : printable(text)) word += c == '\'' ? "'\\''" : std::string(1, c);
    return word + "'";
}

// Of the seeds of the best configuration, the one with the best metric.
const TrialResult& best_trial(const ConfigurationResult& best, SweepGoal goal) {
    const auto less = [goal](const TrialResult& a, const TrialResult& b) {
        return goal == SweepGoal::max ? *a.metric < *b.metric : *a.metric > *b.metric;
    };
    return *std::ranges::max_element(best.trials, less);
}

// Others with the same mean: which of them comes first says nothing.
void print_equal(const std::vector<const ConfigurationResult*>& order,
                 const ConfigurationResult& best) {
    std::string equal;
    for (const ConfigurationResult* one : order) {
        if (one == &best || *one->mean != *best.mean || one->steps() != best.steps()) continue;
        equal += fmt::format("{}{}", equal.empty() ? "" : ", ", one->configuration);
    }
    if (!equal.empty()) fmt::print("as good: configuration {}\n", equal);
}

// With halving the best may be on their way to more steps, and have no results meanwhile.
void print_under_way(const OpenSweep& sweep, const SweepResults& results) {
    if (!sweep.trials.spec().halving || !sweep.decisions) return;
    for (const SearchWork& work : sweep.decisions->under_way()) {
        const auto& observed = results.configurations[work.place.configuration].observed;
        if (!observed || !observed->metric) continue;
        fmt::print("configuration {} had {:.4f} with {} step{} and goes on to {}\n",
                   work.place.configuration, *observed->metric, observed->steps,
                   observed->steps == 1 ? "" : "s", work.place.steps);
    }
}

std::string train_command(const OpenSweep& sweep, const ConfigurationResult& best) {
    const SweepSpec& spec = sweep.trials.spec();
    std::string command = "dln train " + shell_word(shown_path(spec.job_path));
    if (spec.halving) command += fmt::format(" --set /train/steps={}", spec.halving->most_steps);
    for (const Setting& setting : best.settings) {
        command += " --set " + shell_word(setting.pointer + "=" + setting.value.dump());
    }
    return command;
}

void print_best(const OpenSweep& sweep,
                const SweepResults& results,
                const std::vector<const ConfigurationResult*>& order,
                std::size_t compared) {
    const ConfigurationResult& best = *order.front();
    const SweepSpec& spec = sweep.trials.spec();
    fmt::print("best of {} configuration{}{} by {} {}: configuration {}\n", compared,
               compared == 1 ? "" : "s",
               spec.halving ? fmt::format(" that had {} steps", best.steps()) : std::string(),
               spec.metric.goal == SweepGoal::max ? "largest" : "smallest",
               printable(spec.metric.pointer, 60), best.configuration);
    for (const Setting& setting : best.settings) {
        fmt::print("  {} = {}\n", printable(setting.pointer, 80),
                   printable(setting.value.dump(), 120));
    }
    fmt::print("mean {} over {} seed{}{}\n", number_text(best.mean), best.metrics.size(),
               best.metrics.size() == 1 ? "" : "s",
               best.interval ? ", 95 % interval " + interval_text(best.interval)
                             : "; several \"seeds\" would tell how much of it is chance");
    if (compared > 1) {
        fmt::print("The best of several is better by chance too: expect less of it on new data.\n");
    }
    print_equal(order, best);
    print_under_way(sweep, results);
    const TrialResult& trial = best_trial(best, spec.metric.goal);
    const std::string run = shown_path(trial.run_dir);
    fmt::print("its best trial: {}, {} {:.4f}\n", trial.number, printable(spec.metric.pointer, 60),
               *trial.metric);
    fmt::print("prompts:  {}\n", spec.compact ? fmt::format("cat {}/prompts.json", run)
                                              : fmt::format("dln inspect {}", run));
    fmt::print("use it:   dln predict --run {}\n", run);
    fmt::print("train it: {}\n", train_command(sweep, best));
}

int run_best(const ReportOptions& options) {
    const OpenSweep sweep = open_begun_sweep(options.path);
    const SweepResults results = read_results(sweep.trials, sweep.directory, decisions_of(sweep));
    const SweepGoal goal = sweep.trials.spec().metric.goal;
    const auto order = ranked(results, sweep.trials.spec());
    if (order.empty()) {
        throw UsageError(fmt::format(
            "{}: no configuration has finished with all its seeds: {} of {} trials have. Run the "
            "others first: dln sweep run {}",
            printable(options.path), results.progress.count(TrialState::finished),
            sweep.trials.size(), printable(options.path)));
    }
    // With halving, those that had as many steps as the best.
    const auto compared = static_cast<std::size_t>(std::ranges::count_if(
        order, [&](const auto* one) { return one->steps() == order.front()->steps(); }));
    if (options.json) {
        Json json = configuration_json(*order.front());
        json["compared"] = compared;
        json["best_trial"] = best_trial(*order.front(), goal).number;
        print_json(json);
        return 0;
    }
    print_best(sweep, results, order, compared);
    const std::size_t left = results.configurations.size() - compared;
    if (left > 0) {
        fmt::print("{} configuration{} not finished yet{}, or failed, and not compared\n", left,
                   left == 1 ? " is" : "s are",
                   sweep.trials.spec().halving ? ", had fewer steps" : "");
    }
    print_saved(results.cost);
    return 0;
}

}  // namespace

void add_sweep_best(CLI::App& sweep, Chosen& chosen) {
    add_report(sweep, chosen, "best", "The best configuration by the mean over its seeds",
               std::make_shared<ReportOptions>(), run_best);
}

}  // namespace dln
