#include "mop/block.hpp"

#include "dln/nn/operations.hpp"

namespace dln::mop {

using nn::Tape;
using nn::Variable;

Projections project(Tape& tape,
                    const LlamaShape& shape,
                    const LlamaBlock& block,
                    Variable hidden,
                    const std::vector<std::int32_t>& positions) {
    const Variable in = rms_norm(tape, hidden, block.attention_norm, shape.norm_epsilon);
    const auto turned = [&](nn::MatrixView weight) {
        return rotate(tape, linear(tape, in, weight), positions, shape.head_size, shape.rope_base);
    };
    return {.in = in, .q = turned(block.q), .k = turned(block.k), .v = linear(tape, in, block.v)};
}

FeedForward feed_forward(Tape& tape,
                         const LlamaShape& shape,
                         const LlamaBlock& block,
                         Variable hidden,
                         Variable attended) {
    const Variable middle = add(tape, hidden, linear(tape, attended, block.output));
    const Variable in = rms_norm(tape, middle, block.ffn_norm, shape.norm_epsilon);
    const Variable inner = swiglu(tape, linear(tape, in, block.gate), linear(tape, in, block.up));
    return {.in = in, .inner = inner, .out = add(tape, middle, linear(tape, inner, block.down))};
}

}  // namespace dln::mop
