#pragma once
// Embeds a command's texts and finds the examples that each input is shown with. All ranks take part.

#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/nearest.hpp"

namespace dln {

struct FoundExamples {
    NearestExamples nearest;
    // Of all ranks; on rank 0 only.
    Usage usage;
    BackendCounts counts;
};

/// `splits` are a session's, the training split first; `asks_training`: its inputs are asked about, not only shown.
/// Throws SharedError (exit code 3) when the backend has failed or no training example could be embedded. Collective.
/// Pre: nearest_shown(job) > 0.
[[nodiscard]] FoundExamples find_nearest_examples(Communicator& comm,
                                                  const Job& job,
                                                  const std::vector<Dataset>& splits,
                                                  bool asks_training,
                                                  Backend& embedding);

}  // namespace dln
