#pragma once
// What decides a step and what follows from it: which candidates may win, whether the run can go on, what its state
// learns, and what is worth evaluating on dev. Pure; rank 0.

#include <cstddef>
#include <vector>

#include "dln/train/state.hpp"
#include "dln/train/step.hpp"

namespace dln {

/// Throws when no proposal fitted into the context (UsageError) or a layer has no score at all (BackendError):
/// the run would go on to its end and return what it began with.
void check_usable(const TrainContext& context, const StepRecord& record);

/// Adds what `tasks`, which are complete, used, and their failures.
void add_usage(const TaskGraph& graph, const std::vector<TaskId>& tasks, StepRecord& record);

/// Takes the step's choices, what it tried and what it used into the state.
void take_step(const TrainContext& context, const StepRecord& record, TrainState& state);

/// `current`, then the candidates that came next in the step before (null: none), one layer's at a time in its
/// place; at most `most`, the current always.
[[nodiscard]] std::vector<NetworkParameters> worth_evaluating(const StepRecord* record,
                                                              const NetworkParameters& current,
                                                              std::size_t most);

/// Examples of the ranked positions that must have a score for a candidate to win.
[[nodiscard]] std::size_t min_scored(const TrainContext& context, const StepRecord& record);

/// Differences up to this are ties: the job's margin, or the backend's noise.
[[nodiscard]] double tie_margin(const TrainContext& context, const TrainState& state);

}  // namespace dln
