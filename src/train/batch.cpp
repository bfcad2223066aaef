#include "dln/train/batch.hpp"

#include <algorithm>

#include "dln/random/counter_rng.hpp"

namespace dln {

BatchSampler::BatchSampler(std::uint64_t seed,
                           std::size_t batch_size,
                           std::vector<std::vector<std::size_t>> strata)
    : seed_(seed), batch_size_(batch_size), strata_(std::move(strata)) {
    std::erase_if(strata_, [](const auto& stratum) { return stratum.empty(); });
}

std::vector<std::uint64_t> BatchSampler::batch(std::int64_t step) const {
    std::vector<std::uint64_t> indices;
    const std::size_t groups = strata_.size();
    if (groups == 0) return indices;
    const std::size_t each = batch_size_ / groups;
    const std::size_t left_over = batch_size_ % groups;
    for (std::size_t g = 0; g < groups; ++g) {
        // What does not divide evenly goes to the groups in turn.
        const std::size_t turn = (g + groups - static_cast<std::size_t>(step) % groups) % groups;
        const std::size_t count = each + (turn < left_over ? 1 : 0);
        const auto part = from_stratum(g, count, each + (left_over > 0 ? 1 : 0), step);
        indices.insert(indices.end(), part.begin(), part.end());
    }
    CounterRng rng({.seed = seed_,
                    .step = static_cast<std::uint64_t>(step),
                    .layer = groups,
                    .role = RandomRole::batch,
                    .example = 1});
    std::vector<std::uint64_t> shuffled;
    for (const std::size_t i : rng.permutation(indices.size())) shuffled.push_back(indices[i]);
    return shuffled;
}

// An epoch of a stratum is cut into whole pieces of `stride`; what is left over waits for the next order.
std::vector<std::uint64_t> BatchSampler::from_stratum(std::size_t stratum,
                                                      std::size_t count,
                                                      std::size_t stride,
                                                      std::int64_t step) const {
    const std::vector<std::size_t>& examples = strata_[stratum];
    const std::size_t pieces =
        std::max<std::size_t>(examples.size() / std::max<std::size_t>(stride, 1), 1);
    const auto epoch = static_cast<std::uint64_t>(step) / pieces;
    const std::size_t piece = static_cast<std::size_t>(step) % pieces;
    CounterRng rng({.seed = seed_, .step = epoch, .layer = stratum, .role = RandomRole::batch});
    const std::vector<std::size_t> order = rng.permutation(examples.size());
    std::vector<std::uint64_t> part;
    for (std::size_t i = piece * stride; i < order.size() && part.size() < count; ++i) {
        part.push_back(examples[order[i]]);
    }
    return part;
}

}  // namespace dln
