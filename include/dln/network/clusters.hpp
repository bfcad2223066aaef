#pragma once
// Groups of embeddings that lie near each other: what tells the experts of a mixture layer apart before they have
// learned anything. Pure.

#include <cstddef>
#include <span>
#include <vector>

#include "dln/random/counter_rng.hpp"

namespace dln {

/// The cluster of each of `rows`, 0 .. clusters - 1, numbered in the order of their first row: k-means (Lloyd) from
/// starts by k-means++ (Arthur and Vassilvitskii 2007), the best of ten. Fewer distinct rows than clusters leave
/// some without any. Pre: clusters > 0; rows have equal lengths.
[[nodiscard]] std::vector<std::size_t> cluster_rows(std::span<const std::span<const float>> rows,
                                                    std::size_t clusters,
                                                    CounterRng random);

}  // namespace dln
