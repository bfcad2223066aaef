#pragma once
// What a job says of a mixture layer (docs/mixture-layers.md). Pure data.

#include <cstddef>

namespace dln {

/// How the gate of a mixture layer is fitted (docs/mixture-layers.md).
struct GateFitSpec {
    double l2 = 0.01;              ///< of its weights
    std::size_t iterations = 200;  ///< of the descent, after each step
};

/// Which answer of a mixture layer's experts counts.
enum class MixturePrediction {
    best,     ///< that of the expert that the gate finds most probable
    mixture,  ///< the mean of the class probabilities, by the gate's
};

/// A layer of several experts, each a prompt in its template, of which a gate chooses by the input's embedding.
struct MixtureLayerSpec {
    std::size_t experts = 1;  ///< 1: a plain layer, whatever else stands here
    MixturePrediction prediction = MixturePrediction::best;
    GateFitSpec gate;
};

}  // namespace dln
