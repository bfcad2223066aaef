#pragma once
// Training a mixture of prompts from its job to its end.

#include "dln/comm/communicator.hpp"
#include "dln/job/mop_job.hpp"

#include "cli/train.hpp"

namespace dln {

/// As run_training, of a job that all ranks have.
[[nodiscard]] int run_mop_training(Communicator& comm, const MopJob& job, const Training& training);

}  // namespace dln
