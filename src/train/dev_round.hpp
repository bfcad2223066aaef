#pragma once
// What a training run makes of an evaluation on dev: the best so far, the memory, and going back to the best.
// Rank 0; pure but for the evaluations that it is given.

#include <functional>
#include <vector>

#include "dln/train/evaluate.hpp"
#include "dln/train/state.hpp"

namespace dln {

/// Evaluates networks on dev, in their order.
using EvaluateDev = std::function<std::vector<Evaluation>(const std::vector<NetworkParameters>&)>;

struct DevRound {
    Evaluated shown;  ///< the best so far where one of the round is, else the first of the round
    bool gained = false;           ///< one of the round is the best so far
    std::vector<Evaluation> paid;  ///< those whose result was not known
};

/// Evaluates `worth`, the incumbent first; results that the state holds are not asked for again. Changes best,
/// memory, what was used and the evaluations without a gain, but not the incumbent, see go_back().
[[nodiscard]] DevRound run_dev_round(const TrainSpec& spec,
                                     Objective objective,
                                     const std::vector<NetworkParameters>& worth,
                                     const EvaluateDev& evaluate,
                                     TrainState& state);

/// Takes up the best again after `tolerance` evaluations without a gain.
void go_back(const TrainSpec& spec, TrainState& state);

}  // namespace dln
