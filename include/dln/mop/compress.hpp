#pragma once
// Base weights made smaller, to ask how prompts fare on a compressed model. The linear layers of all blocks are pruned,
// then rounded through a storage type; embedding, head and norms stay as they are. Any rank.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dln/llm/compression.hpp"
#include "dln/llm/gguf_weights.hpp"

namespace dln::mop {

/// Sets the floor(sparsity n) values with the smallest scores of each n to 0, the first among equals. Pre: the sizes are
/// equal and multiples of n. Pure.
void prune(std::span<const double> scores, std::size_t n, double sparsity, std::span<float> values);

/// Scores of magnitude pruning, |w|. Pure.
[[nodiscard]] std::vector<double> magnitude_scores(std::span<const float> weights);

/// Scores of Wanda (arXiv 2306.11695): |w_ij| times the norm of what came in through column j, over all tokens; weights are
/// row-major, `square_sums` has the square of that norm for each column. Pure.
[[nodiscard]] std::vector<double> wanda_scores(std::span<const float> weights,
                                               std::span<const double> square_sums);

/// "wanda-0.5-q4_1", "q8_0": for file names and reports.
[[nodiscard]] std::string name_of(const Compression& compression);

/// `source`, compressed, as a file of the model cache that is made once. Magnitude pruning looks at a whole matrix, Wanda at
/// each row. `calibration`: the tokens of the texts whose activations Wanda measures, block by block, in the blocks that
/// are compressed already; others need none. What was pruned stays 0 when it is rounded. Throws BackendError: see
/// open_variant and round_through. Pre: sparsity above 0 and below 1 when it prunes, calibration texts for Wanda.
[[nodiscard]] GgufWeights compressed(const GgufWeights& source,
                                     const Compression& compression,
                                     const std::vector<std::vector<std::int32_t>>& calibration);

}  // namespace dln::mop
