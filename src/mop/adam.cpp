#include "dln/mop/adam.hpp"

#include <cmath>

namespace dln::mop {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

AdamState fresh_adam(const MixtureShape& shape) {
    return {.first = zero_parameters(shape), .second = zero_parameters(shape)};
}

void take_adam_step(const AdamRates& rates,
                    const MixtureParameters& gradient,
                    AdamState& state,
                    MixtureParameters& parameters) {
    ++state.steps;
    const auto steps = static_cast<double>(state.steps);
    const double first_scale = 1.0 / (1.0 - std::pow(kBeta1, steps));
    const double second_scale = 1.0 / (1.0 - std::pow(kBeta2, steps));
    const auto to = parameters.parts();
    const auto from = gradient.parts();
    const auto firsts = state.first.parts();
    const auto seconds = state.second.parts();
    for (std::size_t i = 0; i < to.size(); ++i) {
        const double rate = i == 0 ? rates.prompts : rates.gate;
        for (std::size_t k = 0; k < to.at(i)->values.size(); ++k) {
            const double g = from.at(i)->values[k];
            float& m = firsts.at(i)->values[k];
            float& v = seconds.at(i)->values[k];
            m = static_cast<float>(kBeta1 * m + (1.0 - kBeta1) * g);
            v = static_cast<float>(kBeta2 * v + (1.0 - kBeta2) * g * g);
            const double step = m * first_scale / (std::sqrt(v * second_scale) + kEpsilon);
            float& value = to.at(i)->values[k];
            value = static_cast<float>(value - rate * step);
        }
    }
}

double norm(const MixtureParameters& gradient) {
    double squares = 0.0;
    for (const nn::Matrix* part : gradient.parts()) {
        for (const float value : part->values) squares += static_cast<double>(value) * value;
    }
    return std::sqrt(squares);
}

void scale(MixtureParameters& gradient, double factor) {
    for (nn::Matrix* part : gradient.parts()) {
        for (float& value : part->values) value = static_cast<float>(value * factor);
    }
}

void clip(MixtureParameters& gradient, double limit) {
    const double length = norm(gradient);
    if (limit > 0.0 && length > limit) scale(gradient, limit / length);
}

}  // namespace dln::mop
