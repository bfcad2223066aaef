#include "dln/mop/llama.hpp"

#include <algorithm>

#include "dln/error.hpp"
#include "dln/nn/attention.hpp"
#include "dln/nn/operations.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

// 0, 1, 2, ... from `from` on, anew for each length.
std::vector<std::int32_t> positions_of(const std::vector<std::size_t>& lengths, std::size_t from) {
    std::vector<std::int32_t> positions;
    for (const std::size_t length : lengths) {
        for (std::size_t t = 0; t < length; ++t) {
            positions.push_back(static_cast<std::int32_t>(from + t));
        }
    }
    return positions;
}

// Texts or experts on their way through a block.
class Stream {
  public:
    Stream(const LlamaShape& shape, std::vector<std::size_t> lengths, std::size_t from)
        : shape_(shape), lengths_(std::move(lengths)), positions_(positions_of(lengths_, from)) {}

    struct Projections {
        Variable q;
        Variable k;
        Variable v;
    };
    [[nodiscard]] Projections project(Tape& tape, const LlamaBlock& block, Variable hidden) const {
        const Variable in = rms_norm(tape, hidden, block.attention_norm, shape_.norm_epsilon);
        const auto turned = [&](nn::MatrixView weight) {
            return rotate(tape, linear(tape, in, weight), positions_, shape_.head_size,
                          shape_.rope_base);
        };
        return {.q = turned(block.q), .k = turned(block.k), .v = linear(tape, in, block.v)};
    }
    [[nodiscard]] Variable finish(Tape& tape,
                                  const LlamaBlock& block,
                                  Variable hidden,
                                  const Projections& its,
                                  const std::optional<nn::AttentionPrefix>& prefix) const {
        const nn::AttentionShape shape{.lengths = lengths_,
                                       .heads = shape_.heads,
                                       .kv_heads = shape_.kv_heads,
                                       .head_size = shape_.head_size};
        const Variable attended = causal_attention(tape, its.q, its.k, its.v, shape, prefix);
        const Variable middle = add(tape, hidden, linear(tape, attended, block.output));
        const Variable in = rms_norm(tape, middle, block.ffn_norm, shape_.norm_epsilon);
        const Variable inner =
            swiglu(tape, linear(tape, in, block.gate), linear(tape, in, block.up));
        return add(tape, middle, linear(tape, inner, block.down));
    }

  private:
    const LlamaShape& shape_;
    std::vector<std::size_t> lengths_;
    std::vector<std::int32_t> positions_;
};

}  // namespace

Matrix embed(const LlamaWeights& weights, const std::vector<std::int32_t>& tokens) {
    Matrix hidden(tokens.size(), weights.shape.width);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
        const auto token = static_cast<std::size_t>(tokens[t]);
        DLN_ASSERT(token < weights.embedding.rows, "token {} of {}", tokens[t],
                   weights.embedding.rows);
        std::ranges::copy(weights.embedding.row(token), hidden.row(t).begin());
    }
    return hidden;
}

Variable run_blocks(Tape& tape,
                    const LlamaWeights& weights,
                    Variable hidden,
                    const std::vector<std::size_t>& lengths,
                    std::size_t first,
                    std::size_t end,
                    const std::optional<Mixture>& mixture) {
    DLN_ASSERT(first <= end && end <= weights.blocks.size(), "blocks {} to {} of {}", first, end,
               weights.blocks.size());
    if (!mixture) {
        const Stream text(weights.shape, lengths, 0);
        for (std::size_t b = first; b < end; ++b) {
            const LlamaBlock& block = weights.blocks[b];
            hidden = text.finish(tape, block, hidden, text.project(tape, block, hidden), {});
        }
        return hidden;
    }
    const std::size_t experts = tape.value(mixture->log_gate).columns;
    const std::size_t each = tape.value(mixture->prompts).rows / experts;
    const Stream text(weights.shape, lengths, each);
    const Stream prompts(weights.shape, std::vector<std::size_t>(experts, each), 0);
    Variable prompt_hidden = mixture->prompts;
    for (std::size_t b = first; b < end; ++b) {
        const LlamaBlock& block = weights.blocks[b];
        const Stream::Projections its = prompts.project(tape, block, prompt_hidden);
        const nn::AttentionPrefix prefix{.k = its.k, .v = its.v, .log_weight = mixture->log_gate};
        hidden = text.finish(tape, block, hidden, text.project(tape, block, hidden), prefix);
        // Behind the last block nothing looks at the prompts.
        if (b + 1 < end) prompt_hidden = prompts.finish(tape, block, prompt_hidden, its, {});
    }
    return hidden;
}

Variable logits(Tape& tape,
                const LlamaWeights& weights,
                Variable hidden,
                std::vector<std::size_t> rows) {
    const Variable wanted = rows_of(tape, hidden, std::move(rows));
    const Variable in = rms_norm(tape, wanted, weights.output_norm, weights.shape.norm_epsilon);
    return linear(tape, in, weights.unembedding());
}

}  // namespace dln::mop
