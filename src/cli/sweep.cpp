// dln sweep: many trials of a job. plan is here; the others have files of their own.

#include "cli/sweep.hpp"

#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "cli/ranks.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

struct PlanOptions {
    std::string path;
    bool json = false;
};

Json plan_json(const Trials& trials) {
    const SweepSpec& spec = trials.spec();
    Json json{{"sweep", spec.name},
              {"runs_dir", spec.runs_dir},
              {"configurations", trials.configurations()},
              {"trials", Json::array()}};
    for (std::uint64_t i = 0; i < trials.size(); ++i) {
        const Trial trial = trials.trial(i);
        Json& one =
            json["trials"].emplace_back(Json{{"trial", i}, {"configuration", trial.configuration}});
        if (trials.is_known(trial.configuration)) one["settings"] = settings_json(trial.settings);
        if (trial.seed) one["seed"] = *trial.seed;
        one["run_dir"] = trial.run_dir;
    }
    return json;
}

// What is sure to be begun, and how much of it can go on.
void add_brackets(const SweepSpec& spec, fmt::memory_buffer& text) {
    const auto reduction = static_cast<std::uint64_t>(spec.halving->reduction);
    for (const HalvingBracket& bracket : halving_brackets(spec)) {
        std::uint64_t count = bracket.configurations;
        std::string rungs;
        for (const std::int64_t steps : bracket.steps) {
            rungs += fmt::format(
                "{} {} step{}",
                rungs.empty() ? " have" : ", about " + std::to_string(count) + " go on to", steps,
                steps == 1 ? "" : "s");
            count /= reduction;
        }
        fmt::format_to(std::back_inserter(text), "configurations {} to {}{}\n", bracket.first,
                       bracket.first + bracket.configurations - 1, rungs);
    }
}

std::uint64_t equal_to_earlier(const Trials& trials) {
    std::set<std::string> seen;
    std::uint64_t equal = 0;
    for (std::uint64_t c = 0; c < trials.configurations(); ++c) {
        if (!trials.is_known(c)) continue;
        const Trial trial = trials.trial(c * trials.seeds_each());
        if (!seen.insert(settings_json(trial.settings).dump()).second) ++equal;
    }
    return equal;
}

std::string plan_text(const Trials& trials) {
    fmt::memory_buffer text;
    const SweepSpec& spec = trials.spec();
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "{}: {} configuration{}, {} trial{}\n", spec.name, trials.configurations(),
                   trials.configurations() == 1 ? "" : "s", trials.size(),
                   trials.size() == 1 ? "" : "s");
    if (spec.halving) add_brackets(spec, text);
    if (is_adaptive(spec.method)) {
        fmt::format_to(out, "Results decide which {}.\n",
                       spec.halving ? "of these go on" : "configurations these are");
    }
    if (const std::uint64_t equal = equal_to_earlier(trials); equal > 0) {
        fmt::format_to(
            out,
            "{} of the configurations {} equal to an earlier one: the space is small, and "
            "what is drawn may come twice\n",
            equal, equal == 1 ? "is" : "are");
    }
    const std::string runs = shown_path(spec.runs_dir);
    for (std::uint64_t i = 0; i < trials.size(); ++i) {
        const Trial trial = trials.trial(i);
        const std::string settings =
            trials.is_known(trial.configuration) ? describe(trial) : "not decided";
        fmt::format_to(out, "{:>6}  {}  {}/{}\n", i, settings, runs, trial_directory_name(i));
    }
    return fmt::to_string(text);
}

int run_plan(const PlanOptions& options) {
    OpenSweep sweep = open_sweep(options.path);
    check_jobs(sweep.trials, sweep.base_text);
    const SweepSpec& spec = sweep.trials.spec();
    if (is_adaptive(spec.method) && sweep.directory.holds_sweep()) {
        take_decided(Decisions(spec, sweep.directory), sweep.trials);
    }
    fmt::print("{}",
               options.json ? plan_json(sweep.trials).dump(2) + "\n" : plan_text(sweep.trials));
    return 0;
}

}  // namespace

OpenSweep open_sweep(const std::string& path) {
    Trials trials(read_sweep_file(path));
    const SweepSpec& spec = trials.spec();
    std::optional<std::string> text = read_text_file(spec.job_path);
    if (!text) throw UsageError(fmt::format("{}: cannot be read", printable(spec.job_path)));
    AnyJob base = parse_any_job(*text, spec.job_path);
    SweepDirectory directory(spec.runs_dir);
    return {.trials = std::move(trials),
            .base_text = std::move(*text),
            .base = std::move(base),
            .directory = std::move(directory),
            .decisions = {}};
}

void take_decided(const Decisions& decisions, Trials& trials) {
    for (const SearchWork& work : decisions.taken()) {
        trials.decide(work.place.configuration, work.settings);
    }
}

OpenSweep open_begun_sweep(const std::string& path) {
    OpenSweep sweep = open_sweep(path);
    const SweepSpec& spec = sweep.trials.spec();
    sweep.directory.check_unchanged(spec, sweep.base);
    if (is_adaptive(spec.method)) {
        sweep.decisions.emplace(spec, sweep.directory);
        take_decided(*sweep.decisions, sweep.trials);
    }
    return sweep;
}

void add_sweep_plan(CLI::App& sweep, Chosen& chosen) {
    auto options = std::make_shared<PlanOptions>();
    CLI::App* command = sweep.add_subcommand(
        "plan", "List the trials: what is changed, and where each runs; writes nothing");
    command->add_option("sweep", options->path, "Sweep file (JSON, comments allowed)")->required();
    command->add_flag("--json", options->json, "Print the plan as JSON");
    command->footer("Example:  dln sweep plan jobs/sweeps/quickstart.json");
    command->callback([options, &chosen] {
        chosen = [options] { return run_on_root([&] { return run_plan(*options); }); };
    });
}

void add_sweep_command(CLI::App& app, Chosen& chosen) {
    CLI::App* sweep =
        app.add_subcommand("sweep", "Many trials of a job: plan, run, status, collect, best");
    sweep->require_subcommand(1);
    sweep->footer(
        "A sweep file names a base job and what is changed in it (docs/sweeps.md).\n"
        "Example:  dln sweep plan jobs/sweeps/quickstart.json\n"
        "          mpirun -n 4 dln sweep run jobs/sweeps/quickstart.json\n"
        "          dln sweep best jobs/sweeps/quickstart.json");
    add_sweep_plan(*sweep, chosen);
    add_sweep_trial(*sweep, chosen);
    add_sweep_run(*sweep, chosen);
    add_sweep_status(*sweep, chosen);
    add_sweep_collect(*sweep, chosen);
    add_sweep_best(*sweep, chosen);
}

}  // namespace dln
