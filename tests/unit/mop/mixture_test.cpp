// Parameters, gate and losses of a mixture.

#include "dln/mop/mixture.hpp"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>

#include "dln/mop/adam.hpp"
#include "dln/mop/gate_training.hpp"
#include "dln/mop/loss.hpp"

#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

using testing::random_parameters;
using testing::small_model;
using testing::small_shape;
using testing::small_texts;

TEST(InitialParametersTest, TakesPromptsFromTheStatesAndBeginsNearUniform) {
    const nn::Matrix states = nn::testing::random_matrix(5, 8, 1);
    const MixtureParameters made = initial_parameters(small_shape(), states, 7);
    for (std::size_t r = 0; r < made.prompts.rows; ++r) {
        bool is_a_state = false;
        for (std::size_t s = 0; s < states.rows; ++s) {
            is_a_state = is_a_state || std::ranges::equal(made.prompts.row(r), states.row(s));
        }
        EXPECT_TRUE(is_a_state) << r;
    }
    EXPECT_EQ(made, initial_parameters(small_shape(), states, 7));
    EXPECT_NE(made, initial_parameters(small_shape(), states, 8));
    nn::Tape tape;
    const TapedMixture taped = on_tape(tape, made, GateUse::learned, nn::Matrix(states));
    for (const float weight : tape.value(taped.gate).values) EXPECT_NEAR(weight, 0.5, 0.1);
}

TEST(GateTest, IsUniformWhereItIsNotUsed) {
    nn::Tape tape;
    const TapedMixture taped =
        on_tape(tape, random_parameters(small_shape(), 1), GateUse::uniform, nn::Matrix(3, 8));
    EXPECT_THAT(tape.value(taped.gate).values, ::testing::Each(0.5F));
    for (std::size_t i = 1; i < taped.parts.size(); ++i) {
        EXPECT_FALSE(tape.wants_gradient(taped.parts.at(i)));
    }
}

class LossTest : public ::testing::Test {
  protected:
    [[nodiscard]] static std::vector<std::size_t> first(std::size_t count) {
        std::vector<std::size_t> indices(count);
        std::iota(indices.begin(), indices.end(), std::size_t{0});
        return indices;
    }
    [[nodiscard]] double loss(const MixtureParameters& parameters) const {
        double sum = 0.0;
        const LoadedTexts loaded(texts_, first(3));
        for (const TextLoss& each :
             measure(model_, parameters, GateUse::learned, loaded.texts()).losses) {
            sum += each.nll;
        }
        return sum;
    }

    const LlamaWeights weights_ = small_model();
    const MixtureModel model_{.weights = &weights_, .first_block = 1};
    const MixtureTexts texts_ = small_texts(weights_, 6);
};

TEST_F(LossTest, GradientIsThatOfTheSumOfMeasuredLosses) {
    const MixtureParameters parameters = random_parameters(small_shape(), 20);
    const LoadedTexts loaded(texts_, first(3));
    const LossGradient found = differentiate(model_, parameters, GateUse::learned, loaded.texts());
    EXPECT_NEAR(found.loss.nll, loss(parameters), 1e-4);
    EXPECT_EQ(found.loss.tokens, 6U);
    constexpr float kStep = 1e-2F;
    for (std::size_t p = 0; p < 5; ++p) {
        const std::size_t size = parameters.parts().at(p)->values.size();
        for (std::size_t i = 0; i < size; i += 3) {
            MixtureParameters above = parameters;
            MixtureParameters below = parameters;
            above.parts().at(p)->values[i] += kStep;
            below.parts().at(p)->values[i] -= kStep;
            const double expected = (loss(above) - loss(below)) / (2.0 * kStep);
            EXPECT_NEAR(found.gradient.parts().at(p)->values[i], expected,
                        1e-2 * (1.0 + std::abs(expected)))
                << "part " << p << ", entry " << i;
        }
    }
}

TEST_F(LossTest, AFrozenGateHasNoGradient) {
    const LoadedTexts loaded(texts_, first(3));
    const LossGradient found = differentiate(model_, random_parameters(small_shape(), 20),
                                             GateUse::frozen, loaded.texts());
    EXPECT_THAT(found.gradient.w1.values, ::testing::Each(0.0F));
    EXPECT_THAT(found.gradient.prompts.values, ::testing::Contains(::testing::Ne(0.0F)));
}

TEST_F(LossTest, TextsTogetherHaveTheLossesThatTheyHaveAlone) {
    const MixtureParameters parameters = random_parameters(small_shape(), 20);
    const LoadedTexts loaded(texts_, first(3));
    const MeasuredTexts together = measure(model_, parameters, GateUse::learned, loaded.texts());
    for (std::size_t i = 0; i < 3; ++i) {
        const MeasuredTexts alone = measure(model_, parameters, GateUse::learned,
                                            LoadedTexts(texts_, std::vector{i}).texts());
        EXPECT_NEAR(alone.losses[0].nll, together.losses[i].nll, 1e-4);
        EXPECT_EQ(alone.losses[0].right, together.losses[i].right);
    }
}

TEST(AdamTest, FirstStepMovesByTheRateAgainstTheSignOfTheGradient) {
    const MixtureShape shape{.experts = 1, .vectors = 1, .width = 2, .gate = 1};
    MixtureParameters parameters = zero_parameters(shape);
    MixtureParameters gradient = zero_parameters(shape);
    gradient.prompts.values = {4.0F, -0.5F};
    gradient.b1.values = {2.0F};
    AdamState state = fresh_adam(shape);
    take_adam_step({.prompts = 0.1, .gate = 0.01}, gradient, state, parameters);
    EXPECT_THAT(parameters.prompts.values,
                ::testing::ElementsAre(::testing::FloatNear(-0.1F, 1e-6F),
                                       ::testing::FloatNear(0.1F, 1e-6F)));
    EXPECT_NEAR(parameters.b1.values[0], -0.01, 1e-7);
    // A second step with the opposite gradient: m = 0.9 0.1 g - 0.1 g = -0.01 g over 1 - 0.81, v stays about g^2.
    scale(gradient, -1.0);
    take_adam_step({.prompts = 0.1, .gate = 0.01}, gradient, state, parameters);
    EXPECT_NEAR(parameters.prompts.values[0], -0.1 + 0.1 * 0.01 / 0.19, 1e-5);
}

TEST(ClipTest, ScalesOnlyWhatIsLongerThanTheLimit) {
    const MixtureShape shape{.experts = 1, .vectors = 1, .width = 2, .gate = 1};
    MixtureParameters gradient = zero_parameters(shape);
    gradient.prompts.values = {3.0F, 0.0F};
    gradient.b2.values = {4.0F};
    clip(gradient, 10.0);
    EXPECT_EQ(gradient.prompts.values[0], 3.0F);
    clip(gradient, 1.0);
    EXPECT_NEAR(gradient.prompts.values[0], 0.6, 1e-6);
    EXPECT_NEAR(norm(gradient), 1.0, 1e-6);
    clip(gradient, 0.0);
    EXPECT_NEAR(norm(gradient), 1.0, 1e-6);
}

TEST(ExpertsOfTaskTest, EveryExpertBelongsToOneTask) {
    EXPECT_THAT(experts_of_task(0, 3, 8), ::testing::ElementsAre(0, 3, 6));
    EXPECT_THAT(experts_of_task(2, 3, 8), ::testing::ElementsAre(2, 5));
    EXPECT_THAT(experts_of_task(1, 2, 2), ::testing::ElementsAre(1));
}

TEST(PretrainGateTest, SendsTheTextsOfATaskToItsExperts) {
    const LlamaWeights weights = small_model();
    const MixtureTexts texts = small_texts(weights, 12);
    const MixtureShape shape{.experts = 4, .vectors = 1, .width = 8, .gate = 8};
    MixtureParameters parameters = initial_parameters(shape, texts.z, 1);
    const nn::Matrix prompts = parameters.prompts;
    const double loss =
        pretrain_gate(texts.z, texts.task_of, 2, {.steps = 200, .rate = 1e-2}, parameters);
    EXPECT_NEAR(loss, std::log(2.0), 0.1);  // two experts for each task cannot be told apart
    EXPECT_EQ(parameters.prompts, prompts);
    nn::Tape tape;
    const TapedMixture taped = on_tape(tape, parameters, GateUse::learned, nn::Matrix(texts.z));
    const nn::Matrix& gate = tape.value(taped.gate);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::size_t task = texts.task_of[i];
        EXPECT_GT(gate.row(i)[task] + gate.row(i)[task + 2], 0.95) << i;
    }
}

}  // namespace
}  // namespace dln::mop
