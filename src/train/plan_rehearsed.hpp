#pragma once
// Plans of jobs whose runs are rehearsed. Rank 0 only.

#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/plan.hpp"

#include "train/rehearsed_texts.hpp"

namespace dln {

/// As make_plan(); of networks of any depth, and of two models.
[[nodiscard]] Plan make_rehearsed_plan(const Job& job,
                                       const Network& network,
                                       const std::vector<Dataset>& splits,
                                       const PlannedModels& models,
                                       const PlanOptions& options);

}  // namespace dln
