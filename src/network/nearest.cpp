#include "dln/network/nearest.hpp"

#include <algorithm>

namespace dln {

std::vector<std::uint32_t> nearest_last(std::vector<Neighbour> neighbours, std::size_t count) {
    const auto chosen = static_cast<std::ptrdiff_t>(std::min(count, neighbours.size()));
    std::partial_sort(neighbours.begin(), neighbours.begin() + chosen, neighbours.end(),
                      [](const Neighbour& a, const Neighbour& b) {
                          if (a.nearness != b.nearness) return a.nearness > b.nearness;
                          return a.example < b.example;
                      });
    std::vector<std::uint32_t> examples;
    for (std::ptrdiff_t i = chosen; i > 0; --i) {
        examples.push_back(neighbours[static_cast<std::size_t>(i - 1)].example);
    }
    return examples;
}

}  // namespace dln
