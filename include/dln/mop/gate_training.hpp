#pragma once
// Teaches a gate the tasks before prompts are trained (arXiv 2310.02842): what the labels of tasks say of which expert
// a text needs. Pure; rank 0.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dln/mop/mixture.hpp"

namespace dln::mop {

/// Experts of task `task` of `tasks`: those whose number leaves `task` when divided by `tasks`, so that all experts
/// belong to some task. Pre: tasks <= experts.
[[nodiscard]] std::vector<std::size_t> experts_of_task(std::size_t task,
                                                       std::size_t tasks,
                                                       std::size_t experts);

struct GateTraining {
    std::size_t steps = 300;
    double rate = 1e-3;  ///< Adam's
};

/// Trains the gate of `parameters` on all texts at once by the cross-entropy between softmax of its logits and equal
/// parts for the experts of each text's task. z: [texts, d]; `task_of`: one a text. Returns the last loss, nats.
double pretrain_gate(nn::MatrixView z,
                     const std::vector<std::size_t>& task_of,
                     std::size_t tasks,
                     const GateTraining& training,
                     MixtureParameters& parameters);

}  // namespace dln::mop
