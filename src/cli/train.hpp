#pragma once
// A training run from its job to its end: what dln train does, and a trial of a sweep.

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"
#include "dln/job/any_job.hpp"
#include "dln/store/journal.hpp"

#include "cli/session.hpp"
#include "cli/stop_signals.hpp"

namespace dln {

struct Training {
    std::function<AnyJob()> read;  ///< called on rank 0
    std::string replay = {};       ///< directory of the run to replay; empty: none
    StopTime stop_time = StopTime(0.0);
    /// Why to stop beside signals and time; empty: go on. Called often on rank 0. None: nothing else.
    std::function<std::string()> told_to_stop = {};
    std::int64_t pause_after = 0;  ///< as in TrainEnd
    std::FILE* output = stdout;    ///< for what a person sees of the run
    /// The journal of this rank to use instead of the run's; none: the run's.
    std::shared_ptr<Journal> shared_journal = {};
    std::optional<LimitShare> share = {};  ///< as Session::start takes it
    /// Called on rank 0 again and again while the run computes; must be cheap.
    std::function<void()> on_turn = {};
    /// Told on rank 0 why the run ended early, before the message is printed. Errors that are found before
    /// the first model call are thrown instead.
    std::function<void(const Error&)> failed = {};
};

/// Why the run should stop now; empty: it should not. Cheap; rank 0.
[[nodiscard]] std::string stop_reason_of(const Training& training);

/// Signals are StopSignals' part, which whoever calls this has made before MPI started.
/// Starts, resumes, or says that the run is complete; returns its exit code on rank 0, 0 elsewhere.
/// Throws SharedError on all ranks for what is wrong before the run begins. Collective.
[[nodiscard]] int run_training(Communicator& comm, const Training& training);

}  // namespace dln
