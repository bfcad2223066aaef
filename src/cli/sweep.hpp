#pragma once
// What the commands of dln sweep share.

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "dln/cli/commands.hpp"
#include "dln/comm/communicator.hpp"
#include "dln/job/any_job.hpp"
#include "dln/store/journal.hpp"
#include "dln/sweep/decisions.hpp"
#include "dln/sweep/sweep_directory.hpp"
#include "dln/sweep/trials.hpp"

#include "cli/session.hpp"
#include "cli/stop_signals.hpp"

namespace dln {

/// A sweep file with the base job that it names, both as they are now.
struct OpenSweep {
    Trials trials;
    std::string base_text;
    AnyJob base;  ///< on rank 0
    SweepDirectory directory;
    std::optional<Decisions> decisions;  ///< of an adaptive method's sweep that was begun, to read
};

/// Throws UsageError. Rank 0.
[[nodiscard]] OpenSweep open_sweep(const std::string& path);

/// The same, with what has been decided, and refuses what differs from the sweep that was begun.
[[nodiscard]] OpenSweep open_begun_sweep(const std::string& path);

/// What a search has decided on is what configurations are.
void take_decided(const Decisions& decisions, Trials& trials);

/// What a trial is run with, beside its job.
struct TrialSurroundings {
    std::FILE* output = stdout;                      ///< for what dln train prints
    std::shared_ptr<Journal> journal = {};           ///< of the sweep, of this rank
    std::optional<LimitShare> share = {};            ///< as Session::start takes it
    std::function<void()> on_turn = {};              ///< as in Training
    StopTime stop_time = StopTime(0.0);              ///< as in Training
    std::function<std::string()> told_to_stop = {};  ///< as in Training
};

/// Whether a trial that failed with this exit code says nothing of its configuration: disk, backend or budget.
[[nodiscard]] constexpr bool is_of_surroundings(int exit_code) {
    return exit_code != static_cast<int>(ExitCode::usage);
}

struct TrialEnd {
    int exit_code = 0;
    std::string reason;         ///< of a failure
    bool is_elsewhere = false;  ///< no failure: another process runs the trial
    /// The same command may still make more of it.
    [[nodiscard]] bool is_stop() const {
        return exit_code == static_cast<int>(ExitCode::submit_again);
    }
    [[nodiscard]] bool is_failure() const { return !reason.empty() && !is_elsewhere; }
    [[nodiscard]] bool is_of_surroundings() const {
        return is_failure() && dln::is_of_surroundings(exit_code);
    }
};

/// A sweep that goes on, on every rank.
struct BegunSweep {
    OpenSweep sweep;
    std::shared_ptr<Journal> journal;  ///< of this rank
};

/// Reads the sweep in `path` on rank 0, checks its jobs, begins it, shares it. `check` runs on rank 0 before anything
/// is written; it may throw Error. Collective; throws SharedError.
[[nodiscard]] BegunSweep begin_sweep(Communicator& comm,
                                     const std::string& path,
                                     const std::function<void(const OpenSweep&)>& check = {});

/// Runs a trial as dln train would, on all ranks of `comm`, and records how it ended. Returns the end on rank 0;
/// elsewhere it has no reason. Collective. Throws for what is wrong with the program, MPI or the sweep's own
/// directory; what is wrong with the trial is in the end.
[[nodiscard]] TrialEnd run_trial(Communicator& comm,
                                 const OpenSweep& sweep,
                                 const Trial& trial,
                                 const TrialSurroundings& surroundings);

void add_sweep_plan(CLI::App& sweep, Chosen& chosen);
void add_sweep_trial(CLI::App& sweep, Chosen& chosen);
void add_sweep_run(CLI::App& sweep, Chosen& chosen);
void add_sweep_status(CLI::App& sweep, Chosen& chosen);
void add_sweep_collect(CLI::App& sweep, Chosen& chosen);
void add_sweep_best(CLI::App& sweep, Chosen& chosen);

}  // namespace dln
