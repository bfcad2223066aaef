#pragma once
// What a step file of a mixture of prompts holds, for people.

#include <nlohmann/json_fwd.hpp>

#include "dln/store/checkpoint_store.hpp"

namespace dln {

/// A line for a listing of a run's steps. Throws CheckpointError.
void print_mixture_line(const StepFile& file);

/// The mixture, its best dev result by task, and what the step did. `job`: the run's job.json, or no object.
void print_mixture(const StepDocument& document, const nlohmann::json& job);

}  // namespace dln
