#pragma once
// The loss of texts under a mixture of prompts, and its gradient: -log p of the answer's tokens. Pure, but for time;
// any rank. A result depends on the texts that are given together, in their order, and on nothing else.

#include <cstdint>
#include <span>
#include <vector>

#include "dln/mop/llama.hpp"
#include "dln/mop/mixture.hpp"

namespace dln::mop {

/// The frozen model, of which the blocks from `first_block` on see the experts.
struct MixtureModel {
    const LlamaWeights* weights = nullptr;
    std::size_t first_block = 0;  ///< l*, the injection block
};

/// A text with its answer: context tokens, then answer tokens. The last answer token predicts nothing and is not in
/// `hidden`, so hidden.rows = context + answer.size() - 1.
struct MixtureText {
    nn::MatrixView hidden;  ///< [rows, d], behind the blocks before the injection block
    nn::MatrixView z;       ///< [1, d], gate_input of the context's rows
    std::span<const std::int32_t> answer;
};

struct TextLoss {
    double nll = 0.0;  ///< -log p of all answer tokens, nats
    std::size_t tokens = 0;
    /// Each answer token is the most probable one there: greedy generation would say just this answer. By measure()
    /// only.
    bool right = false;
};

/// Losses and gates of several texts; no gradient.
struct MeasuredTexts {
    std::vector<TextLoss> losses;
    nn::Matrix gate;  ///< g, [texts, E]
};
[[nodiscard]] MeasuredTexts measure(const MixtureModel& model,
                                    const MixtureParameters& parameters,
                                    GateUse use,
                                    std::span<const MixtureText> texts);

/// The loss of several texts together, and its gradient. Where the gate is not learned, its part is zero.
struct LossGradient {
    TextLoss loss;
    MixtureParameters gradient;  ///< of loss.nll: a sum over tokens, not a mean
};
[[nodiscard]] LossGradient differentiate(const MixtureModel& model,
                                         const MixtureParameters& parameters,
                                         GateUse use,
                                         std::span<const MixtureText> texts);

}  // namespace dln::mop
