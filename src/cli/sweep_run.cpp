// dln sweep run: all trials in one allocation. Ranks form groups; a group that is free takes the next trial.

#include <ctime>
#include <deque>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include "dln/error.hpp"
#include "dln/sweep/adaptive_trials.hpp"
#include "dln/sweep/results.hpp"
#include "dln/text/utf8.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/sweep.hpp"
#include "cli/sweep_dispatch.hpp"

namespace dln {
namespace {

struct RunOptions {
    std::string path;
    int group_size = 1;
    bool retry_failed = false;
    double max_hours = 0.0;
};

// What a trial came to; none: it did not finish, or does not report the sweep's metric.
std::optional<double> metric_of(const OpenSweep& sweep, const Trial& trial, const TrialEnd& end) {
    if (end.exit_code != 0) return std::nullopt;
    const SweepSpec& spec = sweep.trials.spec();
    const std::optional<double> metric = read_ended_metric(trial, spec.metric);
    if (!metric && is_adaptive(spec.method)) require_metric(trial, spec);  // nothing to decide by
    return metric;
}

void show_end(const OpenSweep& sweep,
              const Trial& trial,
              const TrialEnd& end,
              std::optional<double> value) {
    const SweepMetric& metric = sweep.trials.spec().metric;
    std::string what;
    if (end.is_elsewhere) {
        what = "left to another process, which runs it";
    } else if (end.is_failure()) {
        what = fmt::format("failed: {}", printable(end.reason, 160));
    } else if (end.exit_code != 0) {
        what = "stopped";
    } else {
        what = pauses(sweep.trials.spec(), trial)
                   ? fmt::format("had {} step{}, ", trial.pause_after,
                                 trial.pause_after == 1 ? "" : "s")
                   : "finished, ";
        what += value ? fmt::format("{} {:.4f}", printable(metric.pointer, 60), *value)
                      : fmt::format("without {}", printable(metric.pointer, 60));
    }
    fmt::print("trial {}  {}  {}\n", trial_directory_name(trial.number), what, describe(trial));
    std::fflush(stdout);
}

/// What becomes of the output that dln train would have: trials run side by side.
struct NoOutput {
    NoOutput() : file(std::fopen("/dev/null", "w")) { DLN_ASSERT(file != nullptr, "/dev/null"); }
    ~NoOutput() { std::fclose(file); }
    NoOutput(const NoOutput&) = delete;
    NoOutput& operator=(const NoOutput&) = delete;
    std::FILE* file;
};

/// Runs trials with the ranks of `group` until there are no more.
void run_trials(Communicator& world,
                Communicator& group,
                const BegunSweep& begun,
                const StopTime& stop_time,
                Dispatcher* dispatcher) {
    const NoOutput nowhere;
    TrialSurroundings surroundings{.output = nowhere.file,
                                   .journal = begun.journal,
                                   .share = LimitShare{.rank = world.rank(), .ranks = world.size()},
                                   .stop_time = stop_time};
    TrialAsker asker(world);
    bool is_told = false;
    surroundings.on_turn = [&] {
        if (dispatcher != nullptr) {
            dispatcher->serve_in_passing();
            is_told = dispatcher->has_stopped();
        } else {
            asker.listen_in_passing();
            is_told = asker.is_told_to_stop();
        }
    };
    surroundings.told_to_stop = [&] {
        return is_told ? std::string("the stop of another group") : std::string();
    };
    // A signal between trials, or in one that has just come to its end.
    const auto is_asked_to_stop = [&] { return !stop_reason(stop_time).empty(); };
    TrialReport report;
    for (;;) {
        if (is_asked_to_stop()) report.is_stopping = true;
        std::string next;
        if (dispatcher != nullptr) {
            next = dispatcher->take(report, is_asked_to_stop);
        } else if (group.rank() == 0) {
            next = asker.ask(report);
        }
        next = group.broadcast(std::move(next));
        if (next.empty()) return;
        const Trial trial = trial_of(next, begun.sweep.trials);
        const TrialEnd end = run_trial(group, begun.sweep, trial, surroundings);
        if (group.rank() != 0) continue;
        report = {};
        // What a disk, a server or a budget refuses is not to be decided by.
        const bool says_nothing = (end.is_of_surroundings() || end.is_elsewhere) &&
                                  is_adaptive(begun.sweep.trials.spec().method);
        if (says_nothing || end.is_stop()) {
            report.is_stopping = true;
        } else {
            report.ended = trial.number;
            report.metric = metric_of(begun.sweep, trial, end);
        }
        show_end(begun.sweep, trial, end, report.metric);
    }
}

std::deque<std::uint64_t> trials_to_run(const OpenSweep& sweep, bool retry_failed) {
    const SweepProgress progress = read_progress(sweep.trials, sweep.directory);
    std::deque<std::uint64_t> numbers;
    for (std::uint64_t i = 0; i < sweep.trials.size(); ++i) {
        const TrialState state = progress.states[i];
        const bool is_open = state == TrialState::waiting || state == TrialState::stopped;
        if (is_open || (retry_failed && state == TrialState::failed)) numbers.push_back(i);
    }
    return numbers;
}

std::string count_of(const SweepProgress& progress) {
    std::string text;
    for (const TrialState state : {TrialState::finished, TrialState::failed, TrialState::running,
                                   TrialState::stopped, TrialState::waiting}) {
        if (progress.count(state) == 0) continue;
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", progress.count(state), name_of(state));
    }
    return text;
}

// Exit code of the failed trial with the lowest number; 0: none failed. With `of_surroundings` only failures that say
// nothing of a configuration count.
int first_failure(const OpenSweep& sweep, const SweepProgress& progress, bool of_surroundings) {
    for (const auto& [number, failure] : progress.failures) {
        if (number >= sweep.trials.size() || progress.states[number] != TrialState::failed)
            continue;
        if (of_surroundings && !is_of_surroundings(failure.exit_code)) continue;
        return failure.exit_code == 0 ? static_cast<int>(ExitCode::internal_error)
                                      : failure.exit_code;
    }
    return 0;
}

// What to do about failed trials.
std::string remedy_for_failures(const OpenSweep& sweep, const SweepProgress& progress) {
    if (!is_adaptive(sweep.trials.spec().method)) {
        return "; --retry-failed runs the failed trials again";
    }
    if (first_failure(sweep, progress, true) == 0) return "; failed trials count as the worst";
    return ". A failure of disk, backend or budget says nothing of a configuration, so nothing was "
           "decided by it: when its reason is gone, the same command goes on";
}

// The last lines, and the exit code of the sweep.
int conclude(const OpenSweep& sweep,
             const SweepProgress& progress,
             const RunOptions& options,
             bool has_stopped) {
    const bool decides = is_adaptive(sweep.trials.spec().method);
    fmt::print("{}: {} trials: {}\n", sweep.trials.spec().name, sweep.trials.size(),
               count_of(progress));
    if (progress.count(TrialState::failed) > 0 && (decides || !has_stopped)) {
        fmt::print("dln sweep status {} tells why{}\n", options.path,
                   remedy_for_failures(sweep, progress));
    }
    if (progress.count(TrialState::finished) > 0)
        fmt::print("results: dln sweep best {}\n", options.path);
    if (const int code = first_failure(sweep, progress, true); decides && code != 0) return code;
    if (has_stopped || progress.count(TrialState::running) > 0) {
        fmt::print("not all is done; the same command goes on\n");
        return static_cast<int>(ExitCode::submit_again);
    }
    if (decides && progress.count(TrialState::waiting) > 0) {
        fmt::print(
            "{} trials that were decided on have no run directory any more, so that their "
            "results are lost; those of the others stay\n",
            progress.count(TrialState::waiting));
        return static_cast<int>(ExitCode::internal_error);
    }
    return first_failure(sweep, progress, false);
}

std::unique_ptr<TrialSource> decided_trials(const OpenSweep& sweep, const RunOptions& options) {
    const SweepSpec& spec = sweep.trials.spec();
    if (options.retry_failed) {
        throw UsageError(fmt::format(
            "{}: --retry-failed: the method decided by the failures too: a trial that failed "
            "counts as the worst. Expected no --retry-failed, or another runs_dir to begin anew.",
            printable(options.path)));
    }
    Decisions decisions(spec, sweep.directory);
    decisions.take();
    if (!decisions.fault().empty()) {
        spdlog::warn(
            "{}. What was decided behind it is decided anew; trials that were run stay. The file "
            "as it was is kept beside it, as .damaged",
            decisions.fault());
    }
    fmt::print("{}: {} configurations, {} decision{} made before", spec.name,
               sweep.trials.configurations(), decisions.taken().size(),
               decisions.taken().size() == 1 ? "" : "s");
    return std::make_unique<AdaptiveTrials>(
        sweep.trials, std::move(decisions),
        [&spec](const Trial& trial) { return read_ended_metric(trial, spec.metric); });
}

std::unique_ptr<TrialSource> listed_trials(const OpenSweep& sweep, const RunOptions& options) {
    auto numbers = trials_to_run(sweep, options.retry_failed);
    fmt::print("{}: {} trials, {} to run", sweep.trials.spec().name, sweep.trials.size(),
               numbers.size());
    return std::make_unique<ListedTrials>(sweep.trials, std::move(numbers));
}

double peak_megabytes() {
    rusage used{};
    return ::getrusage(RUSAGE_SELF, &used) == 0 ? static_cast<double>(used.ru_maxrss) / 1024.0
                                                : 0.0;
}

// Trials that pause keep their step files until none can go on any more, and a process may have been killed between
// the results of a trial and compacting it.
void compact_finished(const OpenSweep& sweep, const SweepProgress& progress) {
    if (!sweep.trials.spec().compact) return;
    for (std::uint64_t i = 0; i < sweep.trials.size(); ++i) {
        if (progress.states[i] == TrialState::finished) compact_run(sweep.trials.trial(i).run_dir);
    }
}

int run_sweep(Communicator& world, const RunOptions& options) {
    const StopTime stop_time(options.max_hours);
    const BegunSweep begun = begin_sweep(world, options.path);
    const int groups = std::max(world.size() / options.group_size, 1);
    // Ranks that are left over join the last group.
    const auto group = world.split(std::min(world.rank() / options.group_size, groups - 1));
    std::unique_ptr<TrialSource> source;
    (void)from_root(world, [&]() -> std::string {
        const bool decides = is_adaptive(begun.sweep.trials.spec().method);
        source =
            decides ? decided_trials(begun.sweep, options) : listed_trials(begun.sweep, options);
        fmt::print(", {} group{} of {} rank{}\n", groups, groups == 1 ? "" : "s",
                   world.size() / groups, world.size() / groups == 1 ? "" : "s");
        std::fflush(stdout);
        return {};
    });
    if (world.rank() != 0) {
        run_trials(world, *group, begun, stop_time, nullptr);
        wait_for_the_end(world);
        return 0;
    }
    Dispatcher dispatcher(world, *source, groups);
    const std::clock_t start = std::clock();
    run_trials(world, *group, begun, stop_time, &dispatcher);
    spdlog::debug(
        "handing out trials took {:.6f} s of {:.3f} s of processor time; {:.1f} MB of memory at "
        "most",
        dispatcher.seconds_serving(), static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC,
        peak_megabytes());
    dispatcher.serve_to_the_end();
    const SweepProgress progress = read_progress(begun.sweep.trials, begun.sweep.directory);
    if (!dispatcher.has_stopped()) compact_finished(begun.sweep, progress);
    return conclude(begun.sweep, progress, options, dispatcher.has_stopped());
}

}  // namespace

void add_sweep_run(CLI::App& sweep, Chosen& chosen) {
    auto options = std::make_shared<RunOptions>();
    CLI::App* command = sweep.add_subcommand(
        "run", "Run all trials: ranks form groups, a free group takes the next trial");
    command->add_option("sweep", options->path, "Sweep file")->required();
    command->add_option("--group-size", options->group_size, "Ranks that run a trial together")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command->add_flag("--retry-failed", options->retry_failed, "Run failed trials again");
    add_max_hours(*command, options->max_hours);
    command->footer(
        "The same command goes on after a kill: finished trials stay, others resume. The exit "
        "code\nis 0 when all trials have finished, else that of the first failed one.\n"
        "Example:  mpirun -n 4 dln sweep run jobs/sweeps/quickstart.json");
    command->callback([options, &chosen] {
        chosen = [options] {
            const StopSignals signals;  // before MPI starts: from then on signals are forwarded
            return run_on_ranks([&](Communicator& comm) { return run_sweep(comm, *options); });
        };
    });
}

}  // namespace dln
