#pragma once
// A decoder of the Llama family in fp32, forward and backward: its upper blocks with a mixture of prompts before the
// text (arXiv 2310.02842). Weights are frozen. Pure; any rank.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dln/nn/matrix.hpp"
#include "dln/nn/tape.hpp"

namespace dln::mop {

struct LlamaShape {
    std::size_t width = 0;  ///< d
    std::size_t heads = 1;
    std::size_t kv_heads = 1;
    std::size_t head_size = 0;
    float rope_base = 10000.0F;
    float norm_epsilon = 1e-5F;
};

/// Weights [out, in], norms [1, d]: views, as ranks of a node share a mapped file.
struct LlamaBlock {
    nn::MatrixView attention_norm;
    nn::MatrixView q;  ///< rows in interleaved-pair order, as GGUF has them
    nn::MatrixView k;  ///< the same
    nn::MatrixView v;
    nn::MatrixView output;  ///< of attention
    nn::MatrixView ffn_norm;
    nn::MatrixView gate;
    nn::MatrixView up;
    nn::MatrixView down;
};

struct LlamaWeights {
    std::shared_ptr<const void> holder;  ///< of all that is viewed here
    LlamaShape shape;
    nn::MatrixView embedding;  ///< [vocabulary, d]
    std::vector<LlamaBlock> blocks;
    nn::MatrixView output_norm;
    std::optional<nn::MatrixView> output;  ///< [vocabulary, d]; none: the embedding
    [[nodiscard]] nn::MatrixView unembedding() const { return output ? *output : embedding; }
};

/// Prompt vectors that stand before each text from some block on, and how much each text heeds each expert.
struct Mixture {
    nn::Variable prompts;   ///< [experts * p, d]
    nn::Variable log_gate;  ///< [texts, experts]
};

/// The vectors of these tokens, [tokens, d].
[[nodiscard]] nn::Matrix embed(const LlamaWeights& weights,
                               const std::vector<std::int32_t>& tokens);

/// Keys and values of a block, turned by position, [rows, kv_heads * head_size].
struct KeysAndValues {
    nn::Variable k;
    nn::Variable v;
};

/// Those of the prompts of a mixture in blocks `first` to `end` - 1; they do not depend on any text.
[[nodiscard]] std::vector<KeysAndValues> prompt_prefix(nn::Tape& tape,
                                                       const LlamaWeights& weights,
                                                       nn::Variable prompts,
                                                       std::size_t experts,
                                                       std::size_t first,
                                                       std::size_t end);

/// What stands before texts from some block on.
struct MixturePrefix {
    std::vector<KeysAndValues> blocks;  ///< of that block and those above
    std::size_t vectors = 0;            ///< p
    nn::Variable log_gate;              ///< [texts, experts]
};

/// What a block computed for the rows of the texts.
struct BlockRecord {
    nn::Variable attention_in;  ///< goes through q, k and v
    nn::Variable k;             ///< turned by position
    nn::Variable v;
    nn::Variable attended;   ///< goes through `output`
    nn::Variable ffn_in;     ///< goes through gate and up
    nn::Variable ffn_inner;  ///< goes through down
};
/// Called for each block, in their order.
using BlockObserver = std::function<void(const BlockRecord&)>;

/// Hidden states [sum of lengths, d] of several texts after blocks `first` to `end` - 1. With a mixture the texts'
/// positions begin at p, each expert's at 0, and an expert's rows attend to their own expert only: the result does not
/// depend on the order of the experts. `weights` must outlive the tape.
[[nodiscard]] nn::Variable run_blocks(nn::Tape& tape,
                                      const LlamaWeights& weights,
                                      nn::Variable hidden,
                                      const std::vector<std::size_t>& lengths,
                                      std::size_t first,
                                      std::size_t end,
                                      const std::optional<Mixture>& mixture = {},
                                      const BlockObserver& observer = {});

/// The same behind prompts whose keys and values are known, from block `first` on.
[[nodiscard]] nn::Variable run_blocks_behind(nn::Tape& tape,
                                             const LlamaWeights& weights,
                                             nn::Variable hidden,
                                             const std::vector<std::size_t>& lengths,
                                             std::size_t first,
                                             std::size_t end,
                                             const MixturePrefix& prefix,
                                             const BlockObserver& observer = {});

/// Logits [rows, vocabulary] of these rows of the last block's hidden states.
[[nodiscard]] nn::Variable logits(nn::Tape& tape,
                                  const LlamaWeights& weights,
                                  nn::Variable hidden,
                                  std::vector<std::size_t> rows);

}  // namespace dln::mop
