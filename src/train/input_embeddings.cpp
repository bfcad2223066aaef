#include "dln/train/input_embeddings.hpp"

namespace dln {

std::span<const float> InputEmbeddings::of(std::size_t split, std::uint64_t example) const {
    const std::size_t row = of_splits_.at(split).at(example);
    if (embeddings_.dimension == 0 || embeddings_.failures.contains(row) ||
        row >= embeddings_.values.size() / embeddings_.dimension) {
        return {};
    }
    return embeddings_.row(row);
}

std::vector<std::span<const float>> InputEmbeddings::of_split(std::size_t split) const {
    std::vector<std::span<const float>> rows;
    for (std::size_t i = 0; i < of_splits_.at(split).size(); ++i) rows.push_back(of(split, i));
    return rows;
}

}  // namespace dln
