#pragma once
// The learnable parameters of a network. Pure data.

#include <compare>
#include <cstddef>
#include <string>
#include <vector>

namespace dln {

/// What training chooses for one layer: a prompt, and one of the layer's templates around it. A candidate
/// is a value of this type.
struct LayerParameters {
    std::string prompt;
    std::size_t template_index = 0;
    friend auto operator<=>(const LayerParameters&, const LayerParameters&) = default;
};

/// One entry a layer, first layer first.
using NetworkParameters = std::vector<LayerParameters>;

}  // namespace dln
