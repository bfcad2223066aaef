#pragma once
// A training run from its job to its end: what dln train does, and a trial of a sweep.

#include <cstdio>
#include <functional>
#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"
#include "dln/job/job.hpp"

#include "cli/stop_signals.hpp"

namespace dln {

struct Training {
    std::function<Job()> read;  ///< called on rank 0
    std::string replay = {};    ///< directory of the run to replay; empty: none
    StopTime stop_time = StopTime(0.0);
    std::FILE* output = stdout;  ///< for what a person sees of the run
    /// Told on rank 0 why the run ended early, before the message is printed. Errors that are found before
    /// the first model call are thrown instead.
    std::function<void(const Error&)> failed = {};
};

/// Signals are StopSignals' part, which whoever calls this has made before MPI started.
/// Starts, resumes, or says that the run is complete; returns its exit code on rank 0, 0 elsewhere.
/// Throws SharedError on all ranks for what is wrong before the run begins. Collective.
[[nodiscard]] int run_training(Communicator& comm, const Training& training);

}  // namespace dln
