#pragma once
// The gates of mixture layers in training: what they say of a batch before a step, and how they are fitted after it
// (docs/mixture-layers.md). Rank 0; pure.

#include <cstdint>
#include <span>
#include <vector>

#include "dln/train/step.hpp"

namespace dln {

/// An entry for each mixture layer: what its gate says of the batch. Before a gate was fitted the clusters of the
/// training inputs stand for it, drawn by the job's seed, so that experts that begin alike do not stay alike.
[[nodiscard]] std::vector<MixtureRecord> ask_gates(const TrainContext& context,
                                                   const NetworkParameters& current,
                                                   const std::vector<std::uint64_t>& batch);

/// Fills in the responsibilities of a mixture layer from what each of its experts is worth on each example.
void share_out(const TrainContext& context,
               std::span<const ExampleValues> by_expert,
               MixtureRecord& mixture);

/// Notes whose the examples of a step were, and fits each gate to all that were seen so far.
void refit_gates(const TrainContext& context, const StepRecord& record, TrainState& state);

}  // namespace dln
