#pragma once
// Embeds a command's inputs, and finds the examples that each is shown with. All ranks take part.

#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/nearest.hpp"
#include "dln/train/nearest_examples.hpp"

namespace dln {

struct InputVectors {
    DistinctTexts texts;
    Embeddings embeddings;  ///< by text
    // Of all ranks; on rank 0 only.
    Usage usage;
    BackendCounts counts;
};

/// `splits` are a session's, the training split first; they must outlive the result. Throws SharedError (exit code 3)
/// when the backend has failed or no input could be embedded. Collective.
[[nodiscard]] InputVectors embed_inputs(Communicator& comm,
                                        const Job& job,
                                        const std::vector<Dataset>& splits,
                                        Backend& embedding);

/// `asks_training`: inputs of the training split are asked about, not only shown. Collective.
/// Pre: nearest_shown(job) > 0.
[[nodiscard]] NearestExamples find_nearest_examples(Communicator& comm,
                                                    const Job& job,
                                                    const InputVectors& inputs,
                                                    bool asks_training);

}  // namespace dln
