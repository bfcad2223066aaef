#pragma once
// A model that is small enough to reason about.

#include <deque>
#include <memory>

#include "dln/mop/llama.hpp"

#include "unit/nn/finite_differences.hpp"

namespace dln::mop {

/// Two blocks of width 8, four heads that share two.
inline LlamaWeights small_model() {
    LlamaWeights weights;
    weights.shape = {.width = 8, .heads = 4, .kv_heads = 2, .head_size = 2, .rope_base = 100.0F};
    const auto held = std::make_shared<std::deque<nn::Matrix>>();
    weights.holder = held;
    const auto made = [&held](std::size_t rows, std::size_t columns) -> const nn::Matrix& {
        return held->emplace_back(nn::testing::random_matrix(rows, columns, held->size() + 1));
    };
    weights.embedding = made(11, 8);
    for (int b = 0; b < 2; ++b) {
        weights.blocks.push_back({.attention_norm = made(1, 8),
                                  .q = made(8, 8),
                                  .k = made(4, 8),
                                  .v = made(4, 8),
                                  .output = made(8, 8),
                                  .ffn_norm = made(1, 8),
                                  .gate = made(6, 8),
                                  .up = made(6, 8),
                                  .down = made(8, 6)});
    }
    weights.output_norm = made(1, 8);
    return weights;
}

}  // namespace dln::mop
