#pragma once
// A training run without its model: the trainer's own steps and evaluations on dev and test, with a stand-in for
// the backend. So a plan follows whatever a job asks for. Rank 0 only.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/plan.hpp"

#include "train/course.hpp"
#include "train/drawn_scores.hpp"
#include "train/rehearsed_texts.hpp"

namespace dln {

/// What a rehearsal saw.
struct Rehearsed {
    Course course;
    std::vector<PlannedWork> by_step;  ///< what course.steps sums up
    RequestChain step_chain;           ///< the longest of a step
    RequestChain training_chain;       ///< of all steps
    RequestChain dev_chain;            ///< the longest of a round
    RequestChain test_chain;
    double usable = 1.0;                    ///< share of proposals that became candidates
    std::vector<std::string> prompts;       ///< that were proposed, each once
    std::vector<std::string> last_prompts;  ///< the last layer's of them
    SampledRequests requests;
};

/// Rehearses a job of at most `steps` steps. Throws BackendError as run_step() does. While `texts` learns, it asks
/// its backends; nothing else here does.
[[nodiscard]] Rehearsed rehearse(const Job& job,
                                 const Network& network,
                                 const std::vector<Dataset>& splits,
                                 const PlannedModels& models,
                                 RehearsedTexts& texts,
                                 const RehearsalMood& mood,
                                 std::int64_t steps);

}  // namespace dln
