// dln sweep trial: one trial, as dln train would run it.

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/text/utf8.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/sweep.hpp"
#include "cli/train.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

struct TrialOptions {
    std::string path;
    std::uint64_t number = 0;
    double max_hours = 0.0;
};

void record(const OpenSweep& sweep, const Trial& trial, const TrialEnd& end) {
    if (end.is_elsewhere) return;  // the other process tells how it ends
    if (end.is_failure()) {
        sweep.directory.record_failure(trial.number,
                                       {.exit_code = end.exit_code, .reason = end.reason});
        return;
    }
    // A trial that goes on if it turns out to be good needs its step files.
    const SweepSpec& spec = sweep.trials.spec();
    if (spec.compact && end.exit_code == 0 && !pauses(spec, trial)) {
        compact_run(trial.run_dir);
    }
}

int run_one(Communicator& comm, const TrialOptions& options) {
    const BegunSweep begun = begin_sweep(comm, options.path, [&](const OpenSweep& sweep) {
        if (is_adaptive(sweep.trials.spec().method)) {
            throw UsageError(fmt::format(
                "{}: /method: results decide what is run next, so no trial can be run for itself. "
                "Use dln sweep run, on as many ranks as you have.",
                printable(options.path)));
        }
        (void)sweep.trials.trial(options.number);  // there is one
    });
    const TrialEnd end =
        run_trial(comm, begun.sweep, begun.sweep.trials.trial(options.number),
                  {.journal = begun.journal, .stop_time = StopTime(options.max_hours)});
    if (end.is_elsewhere) fmt::print(stderr, "dln: {}\n", end.reason);
    return end.exit_code;
}

}  // namespace

BegunSweep begin_sweep(Communicator& comm,
                       const std::string& path,
                       const std::function<void(const OpenSweep&)>& check) {
    std::optional<OpenSweep> sweep;
    const Json shared = Json::parse(from_root(comm, [&] {
        sweep.emplace(open_sweep(path));
        const SweepSpec& spec = sweep->trials.spec();
        if (check) check(*sweep);
        check_jobs(sweep->trials, sweep->base_text);
        sweep->directory.begin(spec, sweep->base);
        return Json{{"sweep", sweep_to_json(spec)}, {"base", sweep->base_text}}.dump();
    }));
    std::shared_ptr<Journal> journal;
    on_all_ranks(comm, [&] {
        if (!sweep) {
            Trials trials(parse_sweep_file(shared.at("sweep").dump(), path));
            SweepDirectory directory(trials.spec().runs_dir);
            sweep.emplace(OpenSweep{.trials = std::move(trials),
                                    .base_text = shared.at("base").get<std::string>(),
                                    .base = {},
                                    .directory = std::move(directory),
                                    .decisions = {}});
        }
        // A trial that asks servers reads it when it begins; others need not know what is in it.
        journal = std::make_shared<Journal>(
            Journal::unread(sweep->directory.journal_path(), comm.rank()));
    });
    return {.sweep = std::move(*sweep), .journal = std::move(journal)};
}

TrialEnd run_trial(Communicator& comm,
                   const OpenSweep& sweep,
                   const Trial& trial,
                   const TrialSurroundings& surroundings) {
    TrialEnd end;
    // Not at the end: a kill behind the results would leave a finished trial with a failure.
    if (comm.rank() == 0) sweep.directory.forget_failure(trial.number);
    const Training training{.read =
                                [&] {
                                    const SweepSpec& spec = sweep.trials.spec();
                                    return parse_any_job(sweep.base_text, spec.job_path,
                                                         overrides_of(spec, trial));
                                },
                            .stop_time = surroundings.stop_time,
                            .told_to_stop = surroundings.told_to_stop,
                            .pause_after = trial.pause_after,
                            .output = surroundings.output,
                            .shared_journal = surroundings.journal,
                            .share = surroundings.share,
                            .on_turn = surroundings.on_turn,
                            .failed = [&](const Error& error) { end.reason = error.what(); }};
    try {
        end.exit_code = run_training(comm, training);
    } catch (const SharedError& error) {
        end.exit_code = static_cast<int>(error.exit_code());
        end.reason = error.what();
        end.is_elsewhere = comm.rank() == 0 && RunDirectory(trial.run_dir).is_being_written();
        if (comm.rank() == 0 && !end.is_elsewhere) fmt::print(stderr, "dln: {}\n", error.what());
    }
    if (end.is_stop()) end.reason.clear();
    if (comm.rank() == 0) record(sweep, trial, end);
    return end;
}

void add_sweep_trial(CLI::App& sweep, Chosen& chosen) {
    auto options = std::make_shared<TrialOptions>();
    CLI::App* command = sweep.add_subcommand(
        "trial", "Run one trial as dln train would: start, resume, or report completion");
    command->add_option("sweep", options->path, "Sweep file")->required();
    command->add_option("number", options->number, "Number of the trial, from 0")
        ->required()
        ->check(CLI::NonNegativeNumber)
        ->envname("SLURM_ARRAY_TASK_ID");
    add_max_hours(*command, options->max_hours);
    command->footer(
        "Needs nobody beside it: each task of a job array runs its own trial.\n"
        "Example:  mpirun -n 2 dln sweep trial jobs/sweeps/quickstart.json 3\n"
        "In an array, --array=0-11:  mpirun dln sweep trial SWEEP     (SLURM_ARRAY_TASK_ID)");
    command->callback([options, &chosen] {
        chosen = [options] {
            const StopSignals signals;  // before MPI starts: from then on signals are forwarded
            return run_on_ranks([&](Communicator& comm) { return run_one(comm, *options); });
        };
    });
}

}  // namespace dln
