#include "dln/mop/mixture.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dln/error.hpp"
#include "dln/nn/operations.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

// Below it an expert has no part in attention that fp32 could tell; the logarithm stays finite.
const float kSmallestGate = std::exp(-20.0F);

// What a stream of random numbers is for: the key's `layer`.
constexpr std::uint64_t kPromptStream = 0;
constexpr std::uint64_t kGateStream = 1;

// Box and Muller, one of the two numbers.
double normal(CounterRng& random) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - random.uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * random.uniform());
}

}  // namespace

std::size_t MixtureParameters::size() const {
    std::size_t sum = 0;
    for (const Matrix* part : parts()) sum += part->values.size();
    return sum;
}

MixtureParameters zero_parameters(const MixtureShape& shape) {
    return {.prompts = Matrix(shape.experts * shape.vectors, shape.width),
            .w1 = Matrix(shape.gate, shape.width),
            .b1 = Matrix(1, shape.gate),
            .w2 = Matrix(shape.experts, shape.gate),
            .b2 = Matrix(1, shape.experts)};
}

MixtureParameters initial_parameters(const MixtureShape& shape,
                                     nn::MatrixView states,
                                     std::uint64_t seed) {
    DLN_ASSERT(states.rows > 0 && states.columns == shape.width, "{} states of {} for width {}",
               states.rows, states.columns, shape.width);
    MixtureParameters made = zero_parameters(shape);
    CounterRng rows({.seed = seed, .layer = kPromptStream, .role = RandomRole::mixture_initial});
    for (std::size_t r = 0; r < made.prompts.rows; ++r) {
        std::ranges::copy(states.row(rows.below(states.rows)), made.prompts.row(r).begin());
    }
    // z has RMS 1, so W1 z is of size 1; a small W2 makes the gate begin near uniform.
    CounterRng random({.seed = seed, .layer = kGateStream, .role = RandomRole::mixture_initial});
    const double first = 1.0 / std::sqrt(static_cast<double>(shape.width));
    const double second = 0.1 / std::sqrt(static_cast<double>(shape.gate));
    for (float& value : made.w1.values) value = static_cast<float>(first * normal(random));
    for (float& value : made.w2.values) value = static_cast<float>(second * normal(random));
    return made;
}

Variable gate_logits(Tape& tape, Variable z, const std::array<Variable, 5>& parts) {
    const auto& [prompts, w1, b1, w2, b2] = parts;
    return linear(tape, silu(tape, linear(tape, z, w1, b1)), w2, b2);
}

TapedMixture on_tape(Tape& tape, const MixtureParameters& parameters, GateUse use, Matrix z) {
    const std::size_t experts = parameters.b2.columns;
    TapedMixture taped{
        .parts = {}, .prompts = tape.parameter(parameters.prompts), .gate = {}, .log_gate = {}};
    taped.parts[0] = taped.prompts;
    const auto all = parameters.parts();
    for (std::size_t i = 1; i < all.size(); ++i) {
        taped.parts.at(i) =
            use == GateUse::learned ? tape.parameter(*all.at(i)) : tape.constant(*all.at(i));
    }
    if (use == GateUse::uniform) {
        Matrix equal(z.rows, experts);
        std::ranges::fill(equal.values, 1.0F / static_cast<float>(experts));
        taped.gate = tape.constant(std::move(equal));
    } else {
        taped.gate = softmax(tape, gate_logits(tape, tape.constant(std::move(z)), taped.parts));
    }
    taped.log_gate = log_at_least(tape, taped.gate, kSmallestGate);
    return taped;
}

}  // namespace dln::mop
