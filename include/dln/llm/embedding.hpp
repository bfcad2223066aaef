#pragma once
// Vectors of texts: their length, their nearness, and those that need no model. Pure but for the backend, whose
// replies are a pure function of their texts.

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

/// `values` scaled to length 1; a vector of zeros stays one. Computed in double.
[[nodiscard]] std::vector<float> normalised(std::span<const float> values);

/// The cosine of the angle between two vectors of length 1: their dot product, summed in double in an order that
/// depends on their size alone. 0 where one of them is zero. Pre: equal sizes.
[[nodiscard]] double cosine(std::span<const float> a, std::span<const float> b);

/// Character n-grams by hash (feature hashing, arXiv 0902.2206): the text's words, with small ASCII letters and a
/// space at either end, each give the pieces of 3 to 5 bytes in them, and themselves. A piece adds 1 or -1, by one
/// bit of its XXH3 hash, to the number that the other bits choose. Not scaled; zeros for a text without words.
[[nodiscard]] std::vector<float> ngram_embedding(std::string_view text, std::size_t dimension);

/// A backend that answers requests for embeddings with ngram_embedding, and scores or writes nothing.
[[nodiscard]] std::unique_ptr<Backend> make_ngram_backend(std::size_t dimension);

}  // namespace dln
