#pragma once
// A block of a Llama model but for its attention, which texts, prompts and single new tokens do differently.

#include <cstdint>
#include <vector>

#include "dln/mop/llama.hpp"

namespace dln::mop {

struct Projections {
    nn::Variable in;  ///< what the three are made from
    nn::Variable q;   ///< turned by position, as k is
    nn::Variable k;
    nn::Variable v;
};
[[nodiscard]] Projections project(nn::Tape& tape,
                                  const LlamaShape& shape,
                                  const LlamaBlock& block,
                                  nn::Variable hidden,
                                  const std::vector<std::int32_t>& positions);

struct FeedForward {
    nn::Variable in;     ///< what gate and up are made from
    nn::Variable inner;  ///< what goes through `down`
    nn::Variable out;    ///< the block's hidden states
};
/// What follows attention, whose result is `attended`.
[[nodiscard]] FeedForward feed_forward(nn::Tape& tape,
                                       const LlamaShape& shape,
                                       const LlamaBlock& block,
                                       nn::Variable hidden,
                                       nn::Variable attended);

}  // namespace dln::mop
