#pragma once
// Losses of a split as JSON, for results and for dln eval. Pure; rank 0.

#include <nlohmann/json.hpp>

#include "dln/job/mop_job.hpp"
#include "dln/mop/ranks.hpp"
#include "dln/mop/texts.hpp"

namespace dln::mop {

/// Examples, tokens, accuracy, NLL and perplexity with intervals, of all texts and below "tasks" of each task, there with
/// the gate's mean weights and how many texts heed each expert most.
[[nodiscard]] nlohmann::ordered_json split_losses_json(const MopJob& job,
                                                       const SplitLosses& losses,
                                                       const MixtureTexts& texts);

}  // namespace dln::mop
