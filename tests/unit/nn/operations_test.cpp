#include "dln/nn/operations.hpp"

#include <gmock/gmock.h>

#include "finite_differences.hpp"

namespace dln::nn {
namespace {

using ::testing::ElementsAre;
using testing::expect_gradients;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;
using testing::random_matrix;

Matrix matrix(std::size_t rows, std::size_t columns, std::vector<float> values) {
    Matrix made(rows, columns);
    made.values = std::move(values);
    return made;
}

TEST(Linear, MultipliesByTheTransposedWeightAndAddsTheBias) {
    Tape tape;
    const Variable y = linear(tape, tape.constant(matrix(2, 2, {1, 2, 3, 4})),
                              tape.constant(matrix(3, 2, {1, 0, 0, 1, 1, 1})),
                              tape.constant(matrix(1, 3, {10, 20, 30})));
    EXPECT_THAT(tape.value(y).values, ElementsAre(11, 22, 33, 13, 24, 37));
    const Matrix weight = matrix(1, 2, {2, 3});
    EXPECT_THAT(tape.value(linear(tape, tape.constant(matrix(1, 2, {5, 7})), weight)).values,
                ElementsAre(31));
}

TEST(Linear, GradientsAreThoseOfFiniteDifferences) {
    expect_gradients([](Tape& tape, const auto& in) { return linear(tape, in[0], in[1], in[2]); },
                     {random_matrix(4, 3, 1), random_matrix(5, 3, 2), random_matrix(1, 5, 3)});
    const Matrix weight = random_matrix(5, 3, 4);
    expect_gradients([&weight](Tape& tape, const auto& in) { return linear(tape, in[0], weight); },
                     {random_matrix(4, 3, 1)});
}

TEST(Elementwise, GradientsAreThoseOfFiniteDifferences) {
    expect_gradients([](Tape& tape, const auto& in) { return add(tape, in[0], in[1]); },
                     {random_matrix(2, 3, 1), random_matrix(2, 3, 2)});
    expect_gradients([](Tape& tape, const auto& in) { return silu(tape, in[0]); },
                     {random_matrix(2, 3, 1)});
    expect_gradients([](Tape& tape, const auto& in) { return swiglu(tape, in[0], in[1]); },
                     {random_matrix(2, 3, 1), random_matrix(2, 3, 2)});
}

TEST(Elementwise, OneVariableTwiceHasBothGradients) {
    expect_gradients([](Tape& tape, const auto& in) { return swiglu(tape, in[0], in[0]); },
                     {random_matrix(2, 3, 1)});
    expect_gradients([](Tape& tape, const auto& in) { return add(tape, in[0], in[0]); },
                     {random_matrix(2, 3, 1)});
}

TEST(RmsNorm, RowsHaveUnitMeanSquareTimesTheWeight) {
    Tape tape;
    const Matrix weight = matrix(1, 2, {1, 2});
    const Variable y = rms_norm(tape, tape.constant(matrix(1, 2, {3, 4})), weight, 0.0F);
    const float scale = 1.0F / std::sqrt(12.5F);
    EXPECT_THAT(tape.value(y).values, ElementsAre(FloatEq(3 * scale), FloatEq(8 * scale)));
}

TEST(RmsNorm, GradientsAreThoseOfFiniteDifferences) {
    const Matrix weight = random_matrix(1, 5, 4);
    expect_gradients(
        [&weight](Tape& tape, const auto& in) { return rms_norm(tape, in[0], weight, 1e-5F); },
        {random_matrix(3, 5, 1)});
}

TEST(Rotate, TurnsNeighbouringPairsByPositionAndFrequency) {
    Tape tape;
    const Variable y = rotate(tape, tape.constant(matrix(1, 4, {1, 0, 1, 0})), {2}, 4, 100.0F);
    EXPECT_THAT(tape.value(y).values,
                ElementsAre(FloatNear(std::cos(2.0F), 1e-6F), FloatNear(std::sin(2.0F), 1e-6F),
                            FloatNear(std::cos(0.2F), 1e-6F), FloatNear(std::sin(0.2F), 1e-6F)));
}

TEST(Rotate, GradientsAreThoseOfFiniteDifferences) {
    expect_gradients(
        [](Tape& tape, const auto& in) {
            return rotate(tape, in[0], {0, 3, 7}, 4, 10.0F);
        },
        {random_matrix(3, 8, 1)});
}

TEST(Softmax, RowsSumToOneAndGradientsAreThoseOfFiniteDifferences) {
    Tape tape;
    const Variable y = softmax(tape, tape.constant(matrix(1, 2, {1000, 1000})));
    EXPECT_THAT(tape.value(y).values, ElementsAre(FloatEq(0.5F), FloatEq(0.5F)));
    expect_gradients([](Tape& tape_, const auto& in) { return softmax(tape_, in[0]); },
                     {random_matrix(2, 4, 1)});
}

TEST(LogAtLeast, IsTheFloorBelowItWithoutAGradient) {
    Tape tape;
    const Variable x = tape.parameter(matrix(1, 2, {0.5F, 1e-12F}));
    const Variable y = log_at_least(tape, x, 1e-6F);
    EXPECT_THAT(tape.value(y).values,
                ElementsAre(FloatEq(std::log(0.5F)), FloatEq(std::log(1e-6F))));
    tape.backward(testing::weighted_sum(tape, y));
    EXPECT_NE(tape.gradient(x).values[0], 0.0F);
    EXPECT_EQ(tape.gradient(x).values[1], 0.0F);
}

TEST(Rows, RowThatComesTwiceHasBothGradients) {
    expect_gradients(
        [](Tape& tape, const auto& in) {
            return rows_of(tape, in[0], {2, 0, 2});
        },
        {random_matrix(3, 2, 1)});
    expect_gradients([](Tape& tape, const auto& in) { return stacked(tape, in[0], in[1]); },
                     {random_matrix(3, 2, 1), random_matrix(1, 2, 2)});
}

TEST(CrossEntropy, IsTheMeanOfTheTargetsNegativeLogProbabilities) {
    Tape tape;
    const Variable loss = cross_entropy(
        tape, tape.constant(matrix(2, 2, {std::log(1.0F), std::log(3.0F), 0, 0})), {1, 0});
    EXPECT_NEAR(tape.value(loss).values[0], (std::log(4.0 / 3.0) + std::log(2.0)) / 2, 1e-6);
    expect_gradients(
        [](Tape& on, const auto& in) {
            return cross_entropy(on, in[0], {1, 3, 0});
        },
        {random_matrix(3, 4, 1)});
}

TEST(Gradients, OfWhatTheLossDoesNotDependOnAreZero) {
    Tape tape;
    const Variable used = tape.parameter(random_matrix(1, 1, 1));
    const Variable unused = tape.parameter(random_matrix(2, 3, 2));
    static_cast<void>(silu(tape, unused));
    tape.backward(silu(tape, used));
    EXPECT_EQ(tape.gradient(unused), Matrix(2, 3));
    EXPECT_NE(tape.gradient(used).values[0], 0.0F);
}

TEST(Gradients, OfWhatComesBehindTheLossAreZero) {
    Tape tape;
    const Variable loss = silu(tape, tape.parameter(random_matrix(1, 1, 1)));
    const Variable later = tape.parameter(random_matrix(2, 3, 2));
    tape.backward(loss);
    EXPECT_EQ(tape.gradient(later), Matrix(2, 3));
}

TEST(Gradients, OfWhatLiesBetweenGiveTheirMemoryBack) {
    Tape tape;
    const Variable between = silu(tape, tape.parameter(random_matrix(1, 1, 1)));
    const Variable beside = silu(tape, between);
    const Variable loss = silu(tape, between);
    tape.backward(loss);
    for (const Variable variable : {between, beside, loss}) {
        EXPECT_TRUE(tape.gradient(variable).values.empty()) << variable.index;
    }
}

TEST(CrossEntropyOfSharesTest, IsThatOfATargetWhichHasAllOfIt) {
    const Matrix in = random_matrix(2, 3, 4);
    Tape tape;
    const Variable logits = tape.parameter(in);
    const float hard =
        tape.value(cross_entropy(tape, logits, std::vector<std::int32_t>{2, 0})).values[0];
    const Matrix shares = matrix(2, 3, {0, 0, 1, 1, 0, 0});
    EXPECT_NEAR(tape.value(cross_entropy_of_shares(tape, logits, shares)).values[0], hard, 1e-6);
}

TEST(CrossEntropyOfSharesTest, GradientAgreesWithFiniteDifferences) {
    const Matrix shares = matrix(2, 3, {0.5F, 0.25F, 0.25F, 0, 1, 0});
    expect_gradients(
        [&shares](Tape& tape, const std::vector<Variable>& in) {
            return cross_entropy_of_shares(tape, in[0], shares);
        },
        {random_matrix(2, 3, 5)});
}

}  // namespace
}  // namespace dln::nn
