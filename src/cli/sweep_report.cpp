// dln sweep status and collect: how far a sweep has come, and what each configuration came to.

#include "cli/sweep_report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/sweep/results.hpp"
#include "dln/text/utf8.hpp"

#include "cli/ranks.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

Json cost_json(const TrialCost& cost) {
    return {{"requests", cost.requests},
            {"saved", cost.recalled},
            {"prompt_tokens", cost.prompt_tokens},
            {"generated_tokens", cost.generated_tokens},
            {"seconds", cost.seconds}};
}

Json trial_json(const TrialResult& trial) {
    Json json{{"trial", trial.number}, {"state", name_of(trial.state)}, {"run_dir", trial.run_dir}};
    if (trial.seed) json["seed"] = *trial.seed;
    if (!trial.reason.empty()) json["reason"] = trial.reason;
    if (trial.metric) json["metric"] = *trial.metric;
    if (trial.steps > 0) json["steps_done"] = trial.steps;
    if (trial.state != TrialState::waiting) json["cost"] = cost_json(trial.cost);
    return json;
}

}  // namespace

const Decisions* decisions_of(const OpenSweep& sweep) {
    return sweep.decisions ? &*sweep.decisions : nullptr;
}

void print_json(const Json& json) {
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string number_text(const std::optional<double>& value) {
    return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string interval_text(const std::optional<Interval>& interval) {
    return interval ? fmt::format("{:.4f} to {:.4f}", interval->low, interval->high) : "-";
}

void print_saved(const TrialCost& cost) {
    if (cost.recalled == 0) return;
    fmt::print("replies saved: {}; the sweep's journal had them, so that nothing was sent\n",
               grouped(cost.recalled));
}

Json configuration_json(const ConfigurationResult& one) {
    Json json{{"configuration", one.configuration}, {"settings", settings_json(one.settings)}};
    if (one.mean) json["mean"] = *one.mean;
    if (one.interval) json["interval_95"] = {one.interval->low, one.interval->high};
    if (one.observed) {
        json["observed"] = {{"steps", one.observed->steps}};
        if (one.observed->metric) json["observed"]["metric"] = *one.observed->metric;
    }
    json["cost"] = cost_json(one.cost);
    for (const TrialResult& trial : one.trials) json["trials"].push_back(trial_json(trial));
    return json;
}

namespace {

constexpr std::array<TrialState, 5> kStates{TrialState::finished, TrialState::running,
                                            TrialState::stopped, TrialState::failed,
                                            TrialState::waiting};
constexpr std::size_t kMostReasons = 20;

// ---- status ------------------------------------------------------------------------------------

void print_brackets(const AdaptiveSearch& search) {
    const std::vector<BracketProgress> brackets = search.brackets();
    if (brackets.empty()) return;
    fmt::print("{:>8}  {:>7}  {:>7}  {:>8}  {:>8}\n", "bracket", "steps", "taken", "compared",
               "go on");
    for (std::size_t b = 0; b < brackets.size(); ++b) {
        for (const RungProgress& rung : brackets[b]) {
            fmt::print("{:>8}  {:>7}  {:>7}  {:>8}  {:>8}\n", b, rung.steps, rung.taken,
                       rung.observed, rung.promoted);
        }
    }
}

void print_status(const OpenSweep& sweep, const SweepProgress& progress) {
    fmt::print("{}: {} trials in {}\n", sweep.trials.spec().name, sweep.trials.size(),
               shown_path(sweep.directory.path()));
    for (const TrialState state : kStates) {
        const bool may_pause = state == TrialState::finished && sweep.trials.spec().halving;
        fmt::print("{:>8}  {}{}\n", progress.count(state), name_of(state),
                   may_pause ? ", or pause with fewer steps" : "");
    }
    if (sweep.decisions) print_brackets(sweep.decisions->search());
    std::size_t shown = 0;
    for (const auto& [number, failure] : progress.failures) {
        if (number >= sweep.trials.size() || progress.states[number] != TrialState::failed)
            continue;
        if (++shown > kMostReasons) continue;
        fmt::print("trial {} failed with exit code {}: {}\n", number, failure.exit_code,
                   printable(failure.reason, 300));
    }
    if (shown > kMostReasons) {
        fmt::print("and {} more; --json has them all\n", shown - kMostReasons);
    }
}

Json status_json(const OpenSweep& sweep, const SweepProgress& progress) {
    Json json{{"sweep", sweep.trials.spec().name}, {"trials", sweep.trials.size()}};
    for (const TrialState state : kStates) {
        Json& numbers = json[name_of(state)] = Json::array();
        for (std::uint64_t i = 0; i < progress.states.size(); ++i) {
            if (progress.states[i] != state) continue;
            if (state != TrialState::failed) {
                numbers.push_back(i);
                continue;
            }
            const TrialFailure& failure = progress.failures.at(i);
            numbers.push_back(
                {{"trial", i}, {"exit_code", failure.exit_code}, {"reason", failure.reason}});
        }
    }
    if (!sweep.decisions) return json;
    for (const BracketProgress& bracket : sweep.decisions->search().brackets()) {
        Json& rungs = json["brackets"].emplace_back(Json::array());
        for (const RungProgress& rung : bracket) {
            rungs.push_back({{"steps", rung.steps},
                             {"taken", rung.taken},
                             {"observed", rung.observed},
                             {"promoted", rung.promoted}});
        }
    }
    return json;
}

int run_status(const ReportOptions& options) {
    const OpenSweep sweep = open_begun_sweep(options.path);
    const SweepProgress progress = read_progress(sweep.trials, sweep.directory);
    if (options.json) {
        print_json(status_json(sweep, progress));
    } else {
        print_status(sweep, progress);
    }
    return 0;
}

// ---- collect -----------------------------------------------------------------------------------

// With halving a configuration that goes on has lost the results that it had before: the log knows them.
std::optional<double> mean_so_far(const ConfigurationResult& one) {
    return one.is_complete() || !one.observed ? one.mean : one.observed->metric;
}

std::string steps_text(const ConfigurationResult& one) {
    if (one.is_complete()) return std::to_string(one.steps());
    return one.observed ? std::to_string(one.observed->steps) : "-";
}

void print_table(const OpenSweep& sweep, const SweepResults& results) {
    const SweepSpec& spec = sweep.trials.spec();
    fmt::print("{}: {} of {} trials finished; {} over seeds, with the 95 % interval of the mean\n",
               spec.name, results.progress.count(TrialState::finished), sweep.trials.size(),
               printable(spec.metric.pointer, 60));
    // How many steps matters only where configurations have different numbers of them.
    const auto steps_column = [&spec](const std::string& text) {
        return spec.halving ? fmt::format("{:>6}  ", text) : std::string();
    };
    fmt::print("{:>6}  {}{:>8}  {:>20}  {:>7}  {:>10}  {:>12}  {:>9}  {}\n", "config",
               steps_column("steps"), "mean", "interval", "seeds", "requests", "tokens", "seconds",
               "settings");
    for (const ConfigurationResult& one : results.configurations) {
        if (!sweep.trials.is_known(one.configuration)) continue;
        fmt::print("{:>6}  {}{:>8}  {:>20}  {:>7}  {:>10}  {:>12}  {:>9.1f}  {}\n",
                   one.configuration, steps_column(steps_text(one)), number_text(mean_so_far(one)),
                   interval_text(one.interval),
                   fmt::format("{}/{}", one.metrics.size(), one.trials.size()),
                   grouped(one.cost.requests),
                   grouped(one.cost.prompt_tokens + one.cost.generated_tokens), one.cost.seconds,
                   describe(one.settings));
    }
    print_saved(results.cost);
}

Json collected_json(const OpenSweep& sweep, const SweepResults& results) {
    const SweepSpec& spec = sweep.trials.spec();
    Json json{{"sweep", spec.name},
              {"metric", spec.metric.pointer},
              {"goal", spec.metric.goal == SweepGoal::max ? "max" : "min"},
              {"cost", cost_json(results.cost)},
              {"configurations", Json::array()}};
    for (const ConfigurationResult& one : results.configurations) {
        json["configurations"].push_back(configuration_json(one));
    }
    return json;
}

// RFC 4180.
std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

// One line a trial, one column a dimension: what other programs read.
void print_csv(const OpenSweep& sweep, const SweepResults& results) {
    const SweepSpec& spec = sweep.trials.spec();
    std::string header =
        "trial,configuration,seed,state,metric,steps,requests,saved,prompt_tokens,generated_tokens,"
        "seconds";
    for (const SweepDimension& dimension : spec.space) header += "," + csv_field(dimension.pointer);
    fmt::print("{}\n", header);
    for (const ConfigurationResult& one : results.configurations) {
        std::string settings;
        for (const SweepDimension& dimension : spec.space) {
            const auto found =
                std::ranges::find(one.settings, dimension.pointer, &Setting::pointer);
            if (found == one.settings.end()) {
                settings += ",";
                continue;
            }
            const bool is_text = found->value.is_string();
            settings +=
                "," + csv_field(is_text ? found->value.get<std::string>() : found->value.dump());
        }
        for (const TrialResult& trial : one.trials) {
            fmt::print("{},{},{},{},{},{},{},{},{},{},{:.3f}{}\n", trial.number, one.configuration,
                       trial.seed ? std::to_string(*trial.seed) : "", name_of(trial.state),
                       trial.metric ? fmt::format("{}", *trial.metric) : "", trial.steps,
                       trial.cost.requests, trial.cost.recalled, trial.cost.prompt_tokens,
                       trial.cost.generated_tokens, trial.cost.seconds, settings);
        }
    }
}

int run_collect(const ReportOptions& options) {
    const OpenSweep sweep = open_begun_sweep(options.path);
    const SweepResults results = read_results(sweep.trials, sweep.directory, decisions_of(sweep));
    if (options.json) {
        print_json(collected_json(sweep, results));
    } else if (options.csv) {
        print_csv(sweep, results);
    } else {
        print_table(sweep, results);
    }
    return 0;
}

}  // namespace

CLI::App* add_report(CLI::App& sweep,
                     Chosen& chosen,
                     const char* name,
                     const char* what,
                     const std::shared_ptr<ReportOptions>& options,
                     int (*run)(const ReportOptions&)) {
    CLI::App* command = sweep.add_subcommand(name, what);
    command->add_option("sweep", options->path, "Sweep file")->required();
    command->add_flag("--json", options->json, "Print JSON");
    command->footer(fmt::format("Example:  dln sweep {} jobs/sweeps/quickstart.json", name));
    command->callback([options, run, &chosen] {
        chosen = [options, run] { return run_on_root([&] { return run(*options); }); };
    });
    return command;
}

void add_sweep_status(CLI::App& sweep, Chosen& chosen) {
    add_report(sweep, chosen, "status",
               "How many trials have finished, run, failed (and why) and wait",
               std::make_shared<ReportOptions>(), run_status);
}

void add_sweep_collect(CLI::App& sweep, Chosen& chosen) {
    const auto options = std::make_shared<ReportOptions>();
    CLI::App* command =
        add_report(sweep, chosen, "collect", "The metric and the cost of each configuration",
                   options, run_collect);
    command->add_flag("--csv", options->csv, "Print a line of CSV for each trial");
}

}  // namespace dln
