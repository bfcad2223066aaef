#include "dln/mop/llama.hpp"

#include <gmock/gmock.h>

#include "dln/nn/operations.hpp"

#include "unit/mop/small_model.hpp"
#include "unit/nn/finite_differences.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;
using nn::testing::random_matrix;

class LlamaTest : public ::testing::Test {
  protected:
    [[nodiscard]] Matrix run(const std::vector<std::int32_t>& tokens,
                             const std::vector<std::size_t>& lengths) const {
        Tape tape;
        const Variable in = tape.constant(embed(weights_, tokens));
        return tape.value(run_blocks(tape, weights_, in, lengths, 0, 2));
    }
    [[nodiscard]] Matrix run_mixed(const Matrix& prompts, const Matrix& log_gate) const {
        Tape tape;
        const Variable in = tape.constant(embed(weights_, {1, 2, 3, 4, 5}));
        const Mixture mixture{.prompts = tape.constant(prompts),
                              .log_gate = tape.constant(log_gate)};
        return tape.value(run_blocks(tape, weights_, in, {3, 2}, 0, 2, mixture));
    }
    static void expect_near(const Matrix& found, const Matrix& expected) {
        ASSERT_EQ(found.values.size(), expected.values.size());
        for (std::size_t i = 0; i < found.values.size(); ++i) {
            EXPECT_NEAR(found.values[i], expected.values[i], 1e-4) << i;
        }
    }

    const LlamaWeights weights_ = small_model();
};

TEST_F(LlamaTest, TextsDoNotSeeEachOtherNorWhatLiesAhead) {
    const Matrix both = run({1, 2, 3, 4, 5}, {3, 2});
    const Matrix first = run({1, 2, 3}, {3});
    const Matrix shorter = run({1, 2}, {2});
    for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t c = 0; c < 8; ++c) {
            EXPECT_NEAR(both.row(r)[c], first.row(r)[c], 1e-5);
            EXPECT_NEAR(both.row(r)[c], shorter.row(r)[c], 1e-5);
        }
    }
}

TEST_F(LlamaTest, OneExpertIsAPromptBeforeTheText) {
    const Matrix prompts = random_matrix(2, 8, 50);
    const Matrix mixed = run_mixed(prompts, Matrix(2, 1));
    // The same vectors as tokens of the text, which has no mixture.
    Tape tape;
    Matrix in(5, 8);
    std::ranges::copy(prompts.values, in.values.begin());
    std::ranges::copy(embed(weights_, {1, 2, 3}).values, in.values.begin() + 16);
    const Matrix plain =
        tape.value(run_blocks(tape, weights_, tape.constant(std::move(in)), {5}, 0, 2));
    for (std::size_t r = 0; r < 3; ++r) {
        for (std::size_t c = 0; c < 8; ++c) {
            EXPECT_NEAR(mixed.row(r)[c], plain.row(r + 2)[c], 1e-4) << r << " " << c;
        }
    }
}

TEST_F(LlamaTest, OrderOfTheExpertsDoesNotMatter) {
    const Matrix a = random_matrix(2, 8, 60);
    const Matrix b = random_matrix(2, 8, 61);
    const auto above = [](const Matrix& first, const Matrix& second) {
        Matrix both(4, 8);
        std::ranges::copy(first.values, both.values.begin());
        std::ranges::copy(second.values, both.values.begin() + 16);
        return both;
    };
    Matrix gate(2, 2);
    gate.values = {-0.1F, -2.0F, -0.5F, -0.7F};
    Matrix swapped(2, 2);
    swapped.values = {-2.0F, -0.1F, -0.7F, -0.5F};
    expect_near(run_mixed(above(a, b), gate), run_mixed(above(b, a), swapped));
}

TEST_F(LlamaTest, GradientsOfPromptsAndGateAreThoseOfFiniteDifferences) {
    nn::testing::expect_gradients(
        [this](Tape& tape, const std::vector<Variable>& in) {
            const Variable text = tape.constant(embed(weights_, {1, 2, 3, 4, 5}));
            const Variable hidden = run_blocks(tape, weights_, text, {3, 2}, 1, 2,
                                               Mixture{.prompts = in[0], .log_gate = in[1]});
            return cross_entropy(tape, logits(tape, weights_, hidden, {1, 2, 4}), {3, 0, 7});
        },
        {random_matrix(4, 8, 70), random_matrix(2, 2, 71)}, 2e-2);
}

}  // namespace
}  // namespace dln::mop
