#include "dln/mop/llama.hpp"

#include <algorithm>

#include "dln/error.hpp"
#include "dln/nn/attention.hpp"
#include "dln/nn/operations.hpp"

#include "mop/block.hpp"

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

// Texts or experts on their way through the blocks.
class Stream {
  public:
    Stream(const LlamaShape& shape, std::vector<std::size_t> lengths, std::size_t from)
        : shape_(shape), lengths_(std::move(lengths)), positions_(positions_of(lengths_, from)) {}

    [[nodiscard]] Projections project(Tape& tape, const LlamaBlock& block, Variable hidden) const {
        return mop::project(tape, shape_, block, hidden, positions_);
    }
    [[nodiscard]] Variable finish(Tape& tape,
                                  const LlamaBlock& block,
                                  Variable hidden,
                                  const Projections& its,
                                  const std::optional<nn::AttentionPrefix>& prefix,
                                  const BlockObserver& observer = {}) const {
        const nn::AttentionShape shape{.lengths = lengths_,
                                       .heads = shape_.heads,
                                       .kv_heads = shape_.kv_heads,
                                       .head_size = shape_.head_size};
        const Variable attended = causal_attention(tape, its.q, its.k, its.v, shape, prefix);
        const FeedForward rest = feed_forward(tape, shape_, block, hidden, attended);
        if (observer) {
            observer({.attention_in = its.in,
                      .k = its.k,
                      .v = its.v,
                      .attended = attended,
                      .ffn_in = rest.in,
                      .ffn_inner = rest.inner});
        }
        return rest.out;
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

std::vector<KeysAndValues> prompt_prefix(Tape& tape,
                                         const LlamaWeights& weights,
                                         Variable prompts,
                                         std::size_t experts,
                                         std::size_t first,
                                         std::size_t end) {
    const std::size_t rows = tape.value(prompts).rows;
    DLN_ASSERT(experts > 0 && rows % experts == 0, "{} prompt vectors of {} experts", rows,
               experts);
    const Stream stream(weights.shape, std::vector<std::size_t>(experts, rows / experts), 0);
    std::vector<KeysAndValues> prefix;
    Variable hidden = prompts;
    for (std::size_t b = first; b < end; ++b) {
        const LlamaBlock& block = weights.blocks.at(b);
        const Projections its = stream.project(tape, block, hidden);
        prefix.push_back({.k = its.k, .v = its.v});
        // Behind the last block nothing looks at the prompts.
        if (b + 1 < end) hidden = stream.finish(tape, block, hidden, its, {});
    }
    return prefix;
}

Variable run_blocks(Tape& tape,
                    const LlamaWeights& weights,
                    Variable hidden,
                    const std::vector<std::size_t>& lengths,
                    std::size_t first,
                    std::size_t end,
                    const std::optional<Mixture>& mixture,
                    const BlockObserver& observer) {
    if (mixture) {
        const std::size_t experts = tape.value(mixture->log_gate).columns;
        const MixturePrefix prefix{
            .blocks = prompt_prefix(tape, weights, mixture->prompts, experts, first, end),
            .vectors = tape.value(mixture->prompts).rows / experts,
            .log_gate = mixture->log_gate};
        return run_blocks_behind(tape, weights, hidden, lengths, first, end, prefix, observer);
    }
    const Stream text(weights.shape, lengths, 0);
    for (std::size_t b = first; b < end; ++b) {
        const LlamaBlock& block = weights.blocks.at(b);
        hidden = text.finish(tape, block, hidden, text.project(tape, block, hidden), {}, observer);
    }
    return hidden;
}

Variable run_blocks_behind(Tape& tape,
                           const LlamaWeights& weights,
                           Variable hidden,
                           const std::vector<std::size_t>& lengths,
                           std::size_t first,
                           std::size_t end,
                           const MixturePrefix& prefix,
                           const BlockObserver& observer) {
    DLN_ASSERT(first + prefix.blocks.size() >= end, "prompts for {} of {} blocks",
               prefix.blocks.size(), end - first);
    const Stream text(weights.shape, lengths, prefix.vectors);
    for (std::size_t b = first; b < end; ++b) {
        const LlamaBlock& block = weights.blocks.at(b);
        const KeysAndValues& its = prefix.blocks[b - first];
        hidden = text.finish(
            tape, block, hidden, text.project(tape, block, hidden),
            nn::AttentionPrefix{.k = its.k, .v = its.v, .log_weight = prefix.log_gate}, observer);
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
