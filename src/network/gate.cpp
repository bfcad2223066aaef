#include "dln/network/gate.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"
#include "dln/network/scores.hpp"

namespace dln {
namespace {

Gate zero_gate(std::size_t experts, std::size_t dimension) {
    return {.bias = std::vector<double>(experts, 0.0),
            .weights = std::vector<double>(experts * dimension, 0.0)};
}

template <class Number>
std::vector<double> log_probs(const Gate& gate, std::span<const Number> features) {
    std::vector<double> logits = gate.bias;
    for (std::size_t e = 0; e < logits.size(); ++e) {
        const double* const weights = gate.weights.data() + e * features.size();
        for (std::size_t d = 0; d < features.size(); ++d) {
            logits[e] += weights[d] * static_cast<double>(features[d]);
        }
    }
    return normalise_classes(logits);
}

std::span<const double> features_of(const GateExamples& examples, std::size_t i) {
    return std::span(examples.features).subspan(i * examples.dimension, examples.dimension);
}

// a + factor (a - b)
Gate beyond(const Gate& a, const Gate& b, double factor) {
    Gate result = a;
    for (std::size_t i = 0; i < a.bias.size(); ++i) {
        result.bias[i] += factor * (a.bias[i] - b.bias[i]);
    }
    for (std::size_t i = 0; i < a.weights.size(); ++i) {
        result.weights[i] += factor * (a.weights[i] - b.weights[i]);
    }
    return result;
}

// A step along -direction.
Gate moved(const Gate& from, const Gate& direction, double length) {
    Gate result = from;
    for (std::size_t i = 0; i < from.bias.size(); ++i) {
        result.bias[i] -= length * direction.bias[i];
    }
    for (std::size_t i = 0; i < from.weights.size(); ++i) {
        result.weights[i] -= length * direction.weights[i];
    }
    return result;
}

// The product of `gradient` with the way from `b` to `a`.
double along(const Gate& gradient, const Gate& a, const Gate& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.bias.size(); ++i) {
        sum += gradient.bias[i] * (a.bias[i] - b.bias[i]);
    }
    for (std::size_t i = 0; i < a.weights.size(); ++i) {
        sum += gradient.weights[i] * (a.weights[i] - b.weights[i]);
    }
    return sum;
}

double curvature_bound(const GateExamples& examples, double l2) {
    double squares = 0.0;
    for (const double feature : examples.features) squares += feature * feature;
    return 0.5 * (1.0 + squares / static_cast<double>(examples.count())) + l2;
}

}  // namespace

std::vector<double> gate_log_probs(const Gate& gate,
                                   std::size_t experts,
                                   std::span<const float> embedding) {
    if (!gate.is_fitted()) {
        return std::vector<double>(experts, -std::log(static_cast<double>(experts)));
    }
    DLN_ASSERT(gate.bias.size() == experts, "a gate of {} experts for {}", gate.bias.size(),
               experts);
    if (embedding.empty()) return normalise_classes(gate.bias);
    DLN_ASSERT(gate.weights.size() == experts * embedding.size(),
               "{} weights for {} experts and embeddings of {} numbers", gate.weights.size(),
               experts, embedding.size());
    return log_probs(gate, embedding);
}

std::optional<std::vector<double>> responsibilities(
    std::span<const double> log_gate, std::span<const std::optional<double>> log_likelihood) {
    DLN_ASSERT(log_gate.size() == log_likelihood.size(), "{} experts in the gate, {} scores",
               log_gate.size(), log_likelihood.size());
    std::vector<double> joint;
    for (std::size_t e = 0; e < log_gate.size(); ++e) {
        if (log_likelihood[e]) joint.push_back(log_gate[e] + *log_likelihood[e]);
    }
    if (joint.empty()) return std::nullopt;
    const std::vector<double> shares = normalise_classes(joint);
    std::vector<double> result(log_gate.size(), 0.0);
    for (std::size_t e = 0, next = 0; e < result.size(); ++e) {
        if (log_likelihood[e]) result[e] = std::exp(shares[next++]);
    }
    return result;
}

std::size_t largest_of(std::span<const double> values) {
    return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

GateScale gate_scale(std::span<const std::span<const float>> embeddings) {
    GateScale scale;
    if (embeddings.empty()) return scale;
    const auto count = static_cast<double>(embeddings.size());
    scale.centre.resize(embeddings.front().size(), 0.0);
    for (const auto& row : embeddings) {
        for (std::size_t d = 0; d < row.size(); ++d) scale.centre[d] += static_cast<double>(row[d]);
    }
    for (double& mean : scale.centre) mean /= count;
    double squares = 0.0;
    for (const auto& row : embeddings) {
        for (std::size_t d = 0; d < row.size(); ++d) {
            const double distance = static_cast<double>(row[d]) - scale.centre[d];
            squares += distance * distance;
        }
    }
    if (squares > 0.0) scale.spread = std::sqrt(squares / count);
    return scale;
}

GateLoss gate_loss(const Gate& gate, const GateExamples& examples, double l2) {
    GateLoss loss{.value = 0.0, .gradient = zero_gate(examples.experts, examples.dimension)};
    const auto count = static_cast<double>(examples.count());
    for (std::size_t i = 0; i < examples.count(); ++i) {
        const std::span<const double> features = features_of(examples, i);
        const std::vector<double> log_gate = log_probs(gate, features);
        for (std::size_t e = 0; e < examples.experts; ++e) {
            const double target = examples.targets[i * examples.experts + e];
            loss.value -= target * log_gate[e] / count;
            const double error = (std::exp(log_gate[e]) - target) / count;
            loss.gradient.bias[e] += error;
            double* const weights = loss.gradient.weights.data() + e * examples.dimension;
            for (std::size_t d = 0; d < features.size(); ++d) weights[d] += error * features[d];
        }
    }
    for (std::size_t i = 0; i < gate.weights.size(); ++i) {
        loss.value += 0.5 * l2 * gate.weights[i] * gate.weights[i];
        loss.gradient.weights[i] += l2 * gate.weights[i];
    }
    return loss;
}

Gate minimise_gate_loss(const GateExamples& examples, double l2, std::size_t iterations) {
    const double length = 1.0 / curvature_bound(examples, l2);
    Gate gate = zero_gate(examples.experts, examples.dimension);
    Gate ahead = gate;
    double momentum = 0.0;  // steps since the last restart
    for (std::size_t i = 0; i < iterations; ++i) {
        const Gate gradient = gate_loss(ahead, examples, l2).gradient;
        Gate next = moved(ahead, gradient, length);
        // Uphill: the way gone so far tells nothing any more.
        momentum = along(gradient, next, gate) > 0.0 ? 0.0 : momentum + 1.0;
        ahead = beyond(next, gate, momentum / (momentum + 3.0));
        gate = std::move(next);
    }
    return gate;
}

Gate fit_gate(std::span<const std::span<const float>> embeddings,
              std::span<const double> targets,
              const GateScale& scale,
              double l2,
              std::size_t iterations) {
    if (embeddings.empty()) return {};
    GateExamples examples{.experts = targets.size() / embeddings.size(),
                          .dimension = scale.centre.size(),
                          .features = {},
                          .targets = {targets.begin(), targets.end()}};
    for (const auto& row : embeddings) {
        for (std::size_t d = 0; d < row.size(); ++d) {
            examples.features.push_back((static_cast<double>(row[d]) - scale.centre[d]) /
                                        scale.spread);
        }
    }
    Gate gate = minimise_gate_loss(examples, l2, iterations);
    for (std::size_t e = 0; e < examples.experts; ++e) {
        for (std::size_t d = 0; d < examples.dimension; ++d) {
            double& weight = gate.weights[e * examples.dimension + d];
            weight /= scale.spread;
            gate.bias[e] -= weight * scale.centre[d];
        }
    }
    const auto is_zero = [](double number) { return number == 0.0; };
    const bool says_nothing =
        std::ranges::all_of(gate.bias, is_zero) && std::ranges::all_of(gate.weights, is_zero);
    return says_nothing ? Gate{} : gate;
}

}  // namespace dln
