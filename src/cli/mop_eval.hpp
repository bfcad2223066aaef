#pragma once
// Evaluating a trained mixture of prompts.

#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/job/mop_job.hpp"
#include "dln/mop/state.hpp"

namespace dln {

/// The newest usable step of the run in `run_dir`. Throws UsageError when no mixture was trained there, or one of another
/// shape than the job's. Rank 0.
[[nodiscard]] mop::MopState read_trained_mixture(const std::string& run_dir, const MopJob& job);

/// Prints perplexities, accuracies and the gate of the best mixture of the run in `run_dir` (empty: the job's) on
/// `split`; with `json` as JSON. Returns the exit code on rank 0. Collective.
[[nodiscard]] int run_mop_eval(Communicator& comm,
                               const MopJob& job,
                               const std::string& run_dir,
                               std::size_t split,
                               bool json);

}  // namespace dln
