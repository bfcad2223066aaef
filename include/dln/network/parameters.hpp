#pragma once
// The learnable parameters of a network. Pure data.

#include <compare>
#include <cstddef>
#include <string>
#include <vector>

namespace dln {

/// What training chooses for one layer: a prompt, one of the layer's templates around it, and the words in
/// that. A candidate is a value of this type.
struct LayerParameters {
    std::string prompt;
    std::size_t template_index = 0;
    std::vector<std::string> words = {};  ///< one for each of LayerSpec::words
    friend auto operator<=>(const LayerParameters&, const LayerParameters&) = default;
};

/// One entry a layer, first layer first.
using NetworkParameters = std::vector<LayerParameters>;

}  // namespace dln
