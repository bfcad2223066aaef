#pragma once
// What a mixture of prompts learns (arXiv 2310.02842): the prompt vectors of its experts, and the gate that says how
// much each text heeds each of them. Pure; any rank.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dln/nn/matrix.hpp"
#include "dln/nn/tape.hpp"

namespace dln::mop {

struct MixtureShape {
    std::size_t experts = 8;   ///< E
    std::size_t vectors = 10;  ///< p, of each expert
    std::size_t width = 0;     ///< d
    std::size_t gate = 64;     ///< h, the gate's hidden units
    friend bool operator==(const MixtureShape&, const MixtureShape&) = default;
};

/// Parameters, or a gradient of them.
struct MixtureParameters {
    nn::Matrix prompts;  ///< [E * p, d], expert by expert
    nn::Matrix w1;       ///< [h, d]
    nn::Matrix b1;       ///< [1, h]
    nn::Matrix w2;       ///< [E, h]
    nn::Matrix b2;       ///< [1, E]
    friend bool operator==(const MixtureParameters&, const MixtureParameters&) = default;

    /// In the order above.
    [[nodiscard]] std::array<nn::Matrix*, 5> parts() { return {&prompts, &w1, &b1, &w2, &b2}; }
    [[nodiscard]] std::array<const nn::Matrix*, 5> parts() const {
        return {&prompts, &w1, &b1, &w2, &b2};
    }
    /// Numbers in all parts.
    [[nodiscard]] std::size_t size() const;
};

/// All zero.
[[nodiscard]] MixtureParameters zero_parameters(const MixtureShape& shape);

/// Prompts are rows of `states` [n, d], hidden states of training texts at the injection block, drawn by the seed: so
/// they have the size that the blocks above expect. The gate begins near uniform. Pre: n > 0.
[[nodiscard]] MixtureParameters initial_parameters(const MixtureShape& shape,
                                                   nn::MatrixView states,
                                                   std::uint64_t seed);

/// How much texts heed experts.
enum class GateUse {
    learned,  ///< softmax(W2 silu(W1 z + b1) + b2)
    frozen,   ///< the same, without a gradient
    uniform,  ///< 1/E each
};

/// The parameters on a tape. What is not learned is constant.
struct TapedMixture {
    std::array<nn::Variable, 5> parts;  ///< as MixtureParameters::parts
    nn::Variable prompts;
    nn::Variable gate;      ///< g, [texts, E]
    nn::Variable log_gate;  ///< log max(g, e^-20)
};

/// z: [texts, d], each of RMS 1.
[[nodiscard]] TapedMixture on_tape(nn::Tape& tape,
                                   const MixtureParameters& parameters,
                                   GateUse use,
                                   nn::Matrix z);

/// Logits of the gate alone, [texts, E]; `parts` are those of on_tape or of parameters on this tape.
[[nodiscard]] nn::Variable gate_logits(nn::Tape& tape,
                                       nn::Variable z,
                                       const std::array<nn::Variable, 5>& parts);

}  // namespace dln::mop
