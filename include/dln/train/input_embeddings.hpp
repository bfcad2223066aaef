#pragma once
// What the gates of mixture layers see: the embeddings of a command's inputs. Made before its engine begins, the same
// on all ranks; rank 0 uses them. Pure data.

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "dln/engine/embed_texts.hpp"

namespace dln {

class InputEmbeddings {
  public:
    /// `of_splits`: [split][example], a row of `embeddings`; one that is there for no text (as blank ones have it, see
    /// DistinctTexts) stands for none.
    InputEmbeddings(Embeddings embeddings, std::vector<std::vector<std::size_t>> of_splits)
        : embeddings_(std::move(embeddings)), of_splits_(std::move(of_splits)) {}
    /// Of an example's input; empty where it has none: a blank text, or one that could not be embedded.
    [[nodiscard]] std::span<const float> of(std::size_t split, std::uint64_t example) const;
    /// Of the inputs of a split, in its order.
    [[nodiscard]] std::vector<std::span<const float>> of_split(std::size_t split) const;
    /// Numbers of an embedding.
    [[nodiscard]] std::size_t dimension() const noexcept { return embeddings_.dimension; }

  private:
    Embeddings embeddings_;
    std::vector<std::vector<std::size_t>> of_splits_;
};

}  // namespace dln
