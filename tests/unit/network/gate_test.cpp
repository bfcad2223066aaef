#include "dln/network/gate.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

using Rows = std::vector<std::vector<float>>;

std::vector<std::span<const float>> spans_of(const Rows& rows) {
    return {rows.begin(), rows.end()};
}

GateExamples some_examples() {
    return {.experts = 3,
            .dimension = 2,
            .features = {0.5, -1.0, 2.0, 0.25, -0.75, 1.5, 0.0, 1.0},
            .targets = {0.7, 0.2, 0.1, 0.0, 1.0, 0.0, 0.3, 0.3, 0.4, 0.05, 0.05, 0.9}};
}

TEST(Gate, SaysTheSoftmaxOfWeightsTimesEmbeddingAndBias) {
    const Gate gate{.bias = {0.0, 0.5}, .weights = {1.0, 0.0, 0.0, 2.0}};
    const std::vector<float> embedding{1.0F, 0.25F};
    // Logits 1 and 0.5 + 0.5 are equal.
    EXPECT_THAT(gate_log_probs(gate, 2, embedding),
                ElementsAre(DoubleNear(-std::log(2.0), 1e-12), DoubleNear(-std::log(2.0), 1e-12)));
    const std::vector<float> other{2.0F, 0.25F};
    EXPECT_NEAR(gate_log_probs(gate, 2, other)[0], -std::log(1.0 + std::exp(-1.0)), 1e-12);
}

TEST(Gate, GoesByItsBiasWithoutAnEmbeddingAndIsEvenBeforeItIsFitted) {
    const Gate gate{.bias = {0.0, std::log(3.0)}, .weights = {5.0, 7.0}};
    EXPECT_THAT(gate_log_probs(gate, 2, {}),
                ElementsAre(DoubleNear(std::log(0.25), 1e-12), DoubleNear(std::log(0.75), 1e-12)));
    EXPECT_THAT(gate_log_probs({}, 4, {}), ::testing::Each(DoubleNear(-std::log(4.0), 1e-12)));
}

TEST(Gate, SharesAnInputOutByGateTimesLikelihood) {
    const std::vector<double> log_gate{std::log(0.8), std::log(0.2)};
    const std::vector<std::optional<double>> scores{std::log(0.1), std::log(0.9)};
    // 0.08 and 0.18 of 0.26
    EXPECT_THAT(*responsibilities(log_gate, scores),
                ElementsAre(DoubleNear(0.08 / 0.26, 1e-12), DoubleNear(0.18 / 0.26, 1e-12)));
}

TEST(Gate, GivesNothingToAnExpertWithoutAScore) {
    const std::vector<double> log_gate{std::log(0.5), std::log(0.5)};
    EXPECT_THAT(*responsibilities(log_gate, std::vector<std::optional<double>>{{}, -3.0}),
                ElementsAre(0.0, 1.0));
    EXPECT_FALSE(responsibilities(log_gate, std::vector<std::optional<double>>{{}, {}}));
}

TEST(Gate, GivesAllToTheOnlyExpert) {
    EXPECT_THAT(
        *responsibilities(std::vector<double>{0.0}, std::vector<std::optional<double>>{-9.0}),
        ElementsAre(1.0));
}

TEST(Gate, LossAtZeroIsTheLogarithmOfTheNumberOfExperts) {
    const GateExamples examples = some_examples();
    const Gate zero{.bias = {0.0, 0.0, 0.0}, .weights = std::vector<double>(6, 0.0)};
    const GateLoss loss = gate_loss(zero, examples, 0.5);
    EXPECT_NEAR(loss.value, std::log(3.0), 1e-12);
    // 1/3 - mean target
    EXPECT_NEAR(loss.gradient.bias[0], 1.0 / 3.0 - (0.7 + 0.0 + 0.3 + 0.05) / 4.0, 1e-12);
}

TEST(Gate, GradientAgreesWithFiniteDifferences) {
    constexpr double kStep = 1e-5;
    const GateExamples examples = some_examples();
    Gate gate{.bias = {0.1, -0.2, 0.3}, .weights = {0.5, -0.4, 0.3, 0.2, -0.1, 0.6}};
    const Gate gradient = gate_loss(gate, examples, 0.1).gradient;
    const auto check = [&](std::vector<double>& numbers, const std::vector<double>& expected) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            const double kept = numbers[i];
            numbers[i] = kept + kStep;
            const double above = gate_loss(gate, examples, 0.1).value;
            numbers[i] = kept - kStep;
            const double below = gate_loss(gate, examples, 0.1).value;
            numbers[i] = kept;
            EXPECT_NEAR((above - below) / (2.0 * kStep), expected[i], 1e-8) << i;
        }
    };
    check(gate.bias, gradient.bias);
    check(gate.weights, gradient.weights);
}

TEST(Gate, DescentEndsWhereTheGradientIsZero) {
    const GateExamples examples = some_examples();
    const Gate gate = minimise_gate_loss(examples, 0.1, 1000);
    const Gate gradient = gate_loss(gate, examples, 0.1).gradient;
    EXPECT_THAT(gradient.bias, ::testing::Each(DoubleNear(0.0, 1e-8)));
    EXPECT_THAT(gradient.weights, ::testing::Each(DoubleNear(0.0, 1e-8)));
}

TEST(Gate, ScaleIsTheMeanAndTheRootMeanSquareDistanceFromIt) {
    const Rows rows{{1.0F, 0.0F}, {3.0F, 0.0F}, {2.0F, 3.0F}, {2.0F, -3.0F}};
    const GateScale scale = gate_scale(spans_of(rows));
    EXPECT_THAT(scale.centre, ElementsAre(2.0, 0.0));
    EXPECT_NEAR(scale.spread, std::sqrt((1.0 + 1.0 + 9.0 + 9.0) / 4.0), 1e-12);
}

TEST(Gate, FittedToTwoGroupsSendsEachToItsExpertWhateverTheyHaveInCommon) {
    const Rows rows{{0.99F, 0.10F}, {0.99F, 0.12F}, {0.99F, -0.10F}, {0.99F, -0.12F}};
    const std::vector<double> targets{0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9};
    const auto embeddings = spans_of(rows);
    const Gate gate = fit_gate(embeddings, targets, gate_scale(embeddings), 0.01, 200);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::vector<double> log_gate = gate_log_probs(gate, 2, embeddings[i]);
        EXPECT_EQ(largest_of(log_gate), i / 2);
        EXPECT_NEAR(std::exp(log_gate[i / 2]), 0.9, 0.05);
    }
}

TEST(Gate, FittedToNothingOrToEvenSharesIsNoGate) {
    const Rows rows{{1.0F, 0.0F}, {0.0F, 1.0F}};
    const auto embeddings = spans_of(rows);
    EXPECT_FALSE(fit_gate({}, {}, {}, 0.01, 10).is_fitted());
    EXPECT_FALSE(fit_gate(embeddings, std::vector<double>{0.5, 0.5, 0.5, 0.5},
                          gate_scale(embeddings), 0.01, 10)
                     .is_fitted());
}

TEST(LayerParameters, AnExpertIsReadAndReplacedByItsPlace) {
    LayerParameters layer{"A", 0};
    layer.others = {{"B", 1}};
    layer.gate.bias = {0.0, 1.0};
    EXPECT_THAT(experts_of(layer), ElementsAre(LayerParameters{"A", 0}, LayerParameters{"B", 1}));
    set_expert(layer, 0, {"C", 2});
    set_expert(layer, 1, {"D", 3});
    EXPECT_THAT(experts_of(layer), ElementsAre(LayerParameters{"C", 2}, LayerParameters{"D", 3}));
    EXPECT_EQ(layer.gate.bias.size(), 2U);
}

TEST(LayerParameters, DifferInTheirExpertsAndTheirGate) {
    LayerParameters layer{"A", 0};
    LayerParameters other = layer;
    other.others = {{"B", 0}};
    EXPECT_NE(layer, other);
    EXPECT_LT(layer, other);
    layer = other;
    other.gate.bias = {0.0, 1.0};
    EXPECT_NE(layer, other);
}

}  // namespace
}  // namespace dln
