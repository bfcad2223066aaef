#pragma once
// Mixture layers (docs/mixture-layers.md): what a gate says of an input, how it is fitted, and how an input is
// shared out among experts. Natural logarithms. Pure, and the same bytes for the same input: no randomness.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "dln/network/parameters.hpp"

namespace dln {

/// log g_e(z) for each of `experts`, normalised; without an embedding (empty) the bias alone decides. Pre: a fitted
/// gate has as many experts, and as many weights for each as `embedding` has numbers.
[[nodiscard]] std::vector<double> gate_log_probs(const Gate& gate,
                                                 std::size_t experts,
                                                 std::span<const float> embedding);

/// The E-step: r_e = softmax over e of log g_e(x) + log p(y | x, expert e), over the experts that have a score. None
/// when no expert has one.
[[nodiscard]] std::optional<std::vector<double>> responsibilities(
    std::span<const double> log_gate, std::span<const std::optional<double>> log_likelihood);

/// Index of the first of the largest. Pre: not empty.
[[nodiscard]] std::size_t largest_of(std::span<const double> values);

/// Where embeddings lie: all of one model have much in common, which tells nothing of an input.
struct GateScale {
    std::vector<double> centre;  ///< their mean
    double spread = 1.0;  ///< root of the mean square distance from it; 1 where all are equal
};
[[nodiscard]] GateScale gate_scale(std::span<const std::span<const float>> embeddings);

/// Examples that a gate is fitted to: features of equal length, and what part of each is whose.
struct GateExamples {
    std::size_t experts = 0;
    std::size_t dimension = 0;
    std::vector<double> features;  ///< [example * dimension + place]
    std::vector<double> targets;   ///< [example * experts + expert], a sum of 1 each
    [[nodiscard]] std::size_t count() const { return targets.size() / experts; }
};

/// J(W, b) = -1/n sum over i, e of r_ie log g_e(x_i) + l2 / 2 |W|^2, and its gradient as a gate.
struct GateLoss {
    double value = 0.0;
    Gate gradient;
};
/// Pre: `gate` is fitted or zero, and there is an example.
[[nodiscard]] GateLoss gate_loss(const Gate& gate, const GateExamples& examples, double l2);

/// Minimises gate_loss from zero by `iterations` steps of Nesterov's accelerated gradient (with the restarts of
/// arXiv 1204.3982, section 3.2), of length 1 / L for L = (1 + mean |x|^2) / 2 + l2, which bounds the curvature.
[[nodiscard]] Gate minimise_gate_loss(const GateExamples& examples,
                                      double l2,
                                      std::size_t iterations);

/// Multinomial logistic regression of `targets` ([example * experts + expert]) on embeddings, each less `scale`'s
/// centre and by its spread; the gate that comes of it takes embeddings as they are. Empty without examples.
[[nodiscard]] Gate fit_gate(std::span<const std::span<const float>> embeddings,
                            std::span<const double> targets,
                            const GateScale& scale,
                            double l2,
                            std::size_t iterations);

}  // namespace dln
