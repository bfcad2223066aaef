#pragma once
// A model with a mixture of prompts, run forward for predictions: keys and values of what was computed are kept, so that a
// further token costs its own row only, and several continuations share their context. fp32; a result depends on the text
// alone. Any rank; one text at a time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dln/llm/backend.hpp"
#include "dln/llm/drawn_text.hpp"
#include "dln/mop/llama.hpp"

namespace dln::mop {

/// The log of the weight of each expert (floored as in training), from what the gate sees of a text (HiddenState).
using LogGate = std::function<std::vector<float>(std::span<const float> gate_input)>;

class MixtureDecoder {
  public:
    /// `prompts` [experts * p, d] stand before block `block` and those above. Their keys and values are computed here, once
    /// for all texts. `weights` must outlive it.
    MixtureDecoder(const LlamaWeights& weights,
                   const nn::Matrix& prompts,
                   std::size_t experts,
                   std::size_t block,
                   LogGate log_gate);

    /// Forgets the text before and computes this one; the gate sees all of it. Not empty.
    void begin(const std::vector<std::int32_t>& context);
    /// Computes further tokens; returns the logits behind each of them, [tokens, vocabulary].
    [[nodiscard]] nn::Matrix append(std::span<const std::int32_t> tokens);
    /// Forgets all behind the first `tokens` tokens, at least those of begin().
    void rewind(std::size_t tokens);
    /// Tokens computed.
    [[nodiscard]] std::size_t size() const noexcept { return length_; }
    /// Logits behind the last token of begin().
    [[nodiscard]] std::span<const float> context_logits() const { return context_logits_.values; }

  private:
    /// Keys and values of a block, rows one after another.
    struct Cache {
        std::vector<float> k;
        std::vector<float> v;
    };
    struct Prefix {
        nn::Matrix k;
        nn::Matrix v;
    };
    [[nodiscard]] nn::Matrix attend(std::size_t block, const nn::Matrix& q) const;
    void attend_row(std::size_t block,
                    std::size_t seen,
                    std::span<const float> q,
                    std::span<float> out) const;

    const LlamaWeights& weights_;
    std::size_t block_;
    std::size_t vectors_ = 0;
    LogGate log_gate_of_;
    std::vector<Prefix> prefix_;  ///< of the blocks from `block` on
    std::vector<Cache> caches_;   ///< of all blocks
    std::vector<float> log_gate_;
    std::size_t context_length_ = 0;
    std::size_t length_ = 0;
    nn::Matrix context_logits_;
};

/// Draws a continuation of the context.
[[nodiscard]] GeneratedText generate(MixtureDecoder& decoder,
                                     const Tokenizer& tokenizer,
                                     const std::vector<std::int32_t>& context,
                                     const DrawOptions& options,
                                     const CounterRng& random);

/// Log-probabilities of each target's tokens behind the context, which is computed once. A target without tokens, or with
/// logits that are not finite, has an error.
[[nodiscard]] std::vector<TargetScore> score(MixtureDecoder& decoder,
                                             const std::vector<std::int32_t>& context,
                                             const std::vector<std::vector<std::int32_t>>& targets);

}  // namespace dln::mop
