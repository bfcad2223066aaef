#pragma once
// Which expert of each mixture layer answers an example, and evaluations that follow from it. Rank 0; pure but for the
// graph that tasks are added to.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dln/engine/network_runner.hpp"
#include "dln/engine/task_graph.hpp"
#include "dln/network/network.hpp"
#include "dln/train/input_embeddings.hpp"

namespace dln {

/// True when some layer has several experts, of which each example goes to one or all.
[[nodiscard]] bool is_routed(const NetworkParameters& parameters);

/// The part of an evaluation whose examples go the same way through the network.
struct RoutePart {
    NetworkParameters parameters;     ///< one expert a layer
    std::vector<std::size_t> places;  ///< of its examples among all
    std::vector<double> log_weights;  ///< of their answers, one a place; 0 where there is no other
};

/// The parts that examples with these embeddings (empty: none) fall into; an example is in one part, or with
/// `mixes_last` in one for each expert of the last layer.
[[nodiscard]] std::vector<RoutePart> route_parts(const NetworkParameters& parameters,
                                                 std::span<const std::span<const float>> embeddings,
                                                 bool mixes_last);

/// add_evaluation() where is_routed(what.parameters).
[[nodiscard]] TaskId add_routed_evaluation(TaskGraph& graph,
                                           const Network& network,
                                           EvaluateUnit what,
                                           const InputEmbeddings* inputs,
                                           std::vector<TaskId> needs);

}  // namespace dln
