#pragma once
// Answers of a trained mixture of prompts.

#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/job/mop_job.hpp"

namespace dln {

struct MopPredict {
    std::string run_dir;  ///< of the trained mixture; empty: the job's
    std::string input = "-";
    std::string output = "-";
    std::string field = "input";
    std::string task;  ///< of lines that do not name theirs; empty: the job's only one
    int max_tokens = 64;
    double temperature = 0.0;
};

/// Answers each line: generated text, or the most probable class where its task has classes. Returns the exit code on
/// rank 0. Collective.
[[nodiscard]] int run_mop_predict(Communicator& comm, const MopJob& job, const MopPredict& options);

}  // namespace dln
