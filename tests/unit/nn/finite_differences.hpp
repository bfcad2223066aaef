#pragma once
// Gradients of operations against finite differences.

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "dln/nn/tape.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln::nn::testing {

/// Entries between -1 and 1, the same for the same seed.
inline Matrix random_matrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
    CounterRng random({.seed = seed});
    Matrix matrix(rows, columns);
    for (float& value : matrix.values) value = static_cast<float>(2.0 * random.uniform() - 1.0);
    return matrix;
}

/// What is tested: from parameters to any matrix.
using Computation = std::function<Variable(Tape&, const std::vector<Variable>&)>;

/// A random weighted sum of all entries of x, so that each of them counts differently.
inline Variable weighted_sum(Tape& tape, Variable x) {
    const Matrix& in = tape.value(x);
    Matrix weights = random_matrix(in.rows, in.columns, 99);
    double sum = 0.0;
    for (std::size_t i = 0; i < in.values.size(); ++i) {
        sum += static_cast<double>(in.values[i]) * weights.values[i];
    }
    Matrix total(1, 1);
    total.values[0] = static_cast<float>(sum);
    return tape.record(std::move(total), {x}, [x, weights](Tape& on, const Matrix& gradient) {
        Matrix* to = on.add_to(x);
        for (std::size_t i = 0; i < to->values.size(); ++i) {
            to->values[i] += gradient.values[0] * weights.values[i];
        }
    });
}

/// The weighted sum of what `compute` makes of `inputs`, in double from fp32 entries.
inline double loss_of(const Computation& compute, const std::vector<Matrix>& inputs) {
    Tape tape;
    std::vector<Variable> variables;
    for (const Matrix& input : inputs) variables.push_back(tape.parameter(input));
    const Matrix& out = tape.value(compute(tape, variables));
    const Matrix weights = random_matrix(out.rows, out.columns, 99);
    double sum = 0.0;
    for (std::size_t i = 0; i < out.values.size(); ++i) {
        sum += static_cast<double>(out.values[i]) * weights.values[i];
    }
    return sum;
}

/// Compares the gradient of each entry of each input with the central difference.
inline void expect_gradients(const Computation& compute,
                             const std::vector<Matrix>& inputs,
                             double tolerance = 5e-3) {
    Tape tape;
    std::vector<Variable> variables;
    for (const Matrix& input : inputs) variables.push_back(tape.parameter(input));
    tape.backward(weighted_sum(tape, compute(tape, variables)));
    constexpr float kStep = 1e-2F;
    for (std::size_t m = 0; m < inputs.size(); ++m) {
        const Matrix& gradient = tape.gradient(variables[m]);
        ASSERT_EQ(gradient.rows, inputs[m].rows);
        for (std::size_t i = 0; i < inputs[m].values.size(); ++i) {
            std::vector<Matrix> moved = inputs;
            moved[m].values[i] = inputs[m].values[i] + kStep;
            const double above = loss_of(compute, moved);
            moved[m].values[i] = inputs[m].values[i] - kStep;
            const double below = loss_of(compute, moved);
            const double expected = (above - below) / (2.0 * kStep);
            EXPECT_NEAR(gradient.values[i], expected, tolerance * (1.0 + std::abs(expected)))
                << "input " << m << ", entry " << i;
        }
    }
}

}  // namespace dln::nn::testing
