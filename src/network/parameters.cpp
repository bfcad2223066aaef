#include "dln/network/parameters.hpp"

#include <algorithm>

#include "dln/error.hpp"

namespace dln {

std::partial_ordering operator<=>(const LayerParameters& a, const LayerParameters& b) {
    if (const auto order = a.prompt <=> b.prompt; order != 0) return order;
    if (const auto order = a.template_index <=> b.template_index; order != 0) return order;
    if (const auto order = a.words <=> b.words; order != 0) return order;
    const auto others = std::lexicographical_compare_three_way(a.others.begin(), a.others.end(),
                                                               b.others.begin(), b.others.end());
    return others != 0 ? others : a.gate <=> b.gate;
}

bool operator==(const LayerParameters& a, const LayerParameters& b) {
    return a.prompt == b.prompt && a.template_index == b.template_index && a.words == b.words &&
           a.others == b.others && a.gate == b.gate;
}

LayerParameters expert_of(const LayerParameters& layer, std::size_t expert) {
    DLN_ASSERT(expert < expert_count(layer), "expert {} of {}", expert, expert_count(layer));
    if (expert > 0) return layer.others[expert - 1];
    return {layer.prompt, layer.template_index, layer.words};
}

std::vector<LayerParameters> experts_of(const LayerParameters& layer) {
    std::vector<LayerParameters> experts{expert_of(layer, 0)};
    experts.insert(experts.end(), layer.others.begin(), layer.others.end());
    return experts;
}

void set_expert(LayerParameters& layer, std::size_t expert, const LayerParameters& now) {
    DLN_ASSERT(expert < expert_count(layer), "expert {} of {}", expert, expert_count(layer));
    LayerParameters& place = expert == 0 ? layer : layer.others[expert - 1];
    place.prompt = now.prompt;
    place.template_index = now.template_index;
    place.words = now.words;
}

}  // namespace dln
