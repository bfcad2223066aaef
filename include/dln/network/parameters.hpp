#pragma once
// The learnable parameters of a network. Pure data.

#include <compare>
#include <cstddef>
#include <string>
#include <vector>

namespace dln {

/// How a mixture layer chooses among its experts: log g_e(z) = log softmax_e(W z + b) of an input's embedding z.
/// A gate that was not fitted yet is empty, and takes all experts for equally good.
struct Gate {
    std::vector<double> bias;     ///< by expert
    std::vector<double> weights;  ///< [expert * dimension + place]
    [[nodiscard]] bool is_fitted() const { return !bias.empty(); }
    friend auto operator<=>(const Gate&, const Gate&) = default;
};

/// What training chooses for one layer: a prompt, one of the layer's templates around it, and the words in
/// that. A candidate is a value of this type. A mixture layer has more of them, its other experts, and a gate.
struct LayerParameters {
    std::string prompt;
    std::size_t template_index = 0;
    std::vector<std::string> words = {};       ///< one for each of LayerSpec::words
    std::vector<LayerParameters> others = {};  ///< experts 1, 2, ...; they have none of their own
    Gate gate = {};
    // Not defaulted: a type that holds itself cannot have its comparisons deduced.
    friend std::partial_ordering operator<=>(const LayerParameters& a, const LayerParameters& b);
    friend bool operator==(const LayerParameters& a, const LayerParameters& b);
};

/// One entry a layer, first layer first.
using NetworkParameters = std::vector<LayerParameters>;

/// Of a layer: 1 where it is no mixture.
[[nodiscard]] inline std::size_t expert_count(const LayerParameters& layer) {
    return 1 + layer.others.size();
}
/// An expert alone: a prompt in its template. Pre: `expert` < expert_count(layer).
[[nodiscard]] LayerParameters expert_of(const LayerParameters& layer, std::size_t expert);
/// All of a layer's.
[[nodiscard]] std::vector<LayerParameters> experts_of(const LayerParameters& layer);
/// Puts a prompt in its template in the place of an expert.
void set_expert(LayerParameters& layer, std::size_t expert, const LayerParameters& now);

}  // namespace dln
