// What ranks do together for a mixture, on one rank; tests/mpi has several.

#include "dln/mop/ranks.hpp"

#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include "dln/error.hpp"
#include "dln/mop/adam.hpp"

#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::random_parameters;
using testing::small_job;
using testing::small_model;
using testing::small_shape;
using testing::small_texts;
using ::testing::ThrowsMessage;

class MixtureRanksTest : public ::testing::Test {
  protected:
    [[nodiscard]] MixtureModel model() const { return {.weights = &weights_, .first_block = 1}; }
    [[nodiscard]] MixtureRanks ranks() {
        return MixtureRanks(*comm_, {.job = job_,
                                     .model = model(),
                                     .shape = small_shape(),
                                     .splits = {&train_, &dev_, &dev_},
                                     .is_stop_asked = [this] { return is_stop_asked_; }});
    }
    [[nodiscard]] LossGradient differentiated(const std::vector<std::uint64_t>& texts) const {
        return differentiate(model(), parameters_, gate_use(job_),
                             LoadedTexts(train_, texts).texts());
    }
    static void expect_near(const MixtureParameters& a, const MixtureParameters& b, double within) {
        for (std::size_t p = 0; p < 5; ++p) {
            const nn::Matrix& left = *a.parts().at(p);
            const nn::Matrix& right = *b.parts().at(p);
            ASSERT_EQ(left.values.size(), right.values.size());
            for (std::size_t i = 0; i < left.values.size(); ++i) {
                EXPECT_NEAR(left.values[i], right.values[i], within) << "part " << p << " at " << i;
            }
        }
    }

    LlamaWeights weights_ = small_model();
    MixtureTexts train_ = small_texts(weights_, 9);
    MixtureTexts dev_ = small_texts(weights_, 6);
    MopJob job_ = small_job();
    MixtureParameters parameters_ = random_parameters(small_shape(), 1);
    std::unique_ptr<Communicator> comm_ = make_local_communicator();
    bool is_stop_asked_ = false;
};

TEST_F(MixtureRanksTest, GradientIsThatOfTheMeanLossOfTheBatchsTokens) {
    const std::vector<std::uint64_t> batch =
        BatchSampler(job_.seed, 5, {{0, 1, 2, 3, 4, 5, 6, 7, 8}}).batch(2);
    ASSERT_EQ(batch.size(), 5U);
    MixtureParameters expected = zero_parameters(small_shape());
    double nll = 0.0;
    std::int64_t tokens = 0;
    for (std::size_t from = 0; from < 5; from += 2) {  // micro-batches of two
        const auto begin = batch.begin() + static_cast<std::ptrdiff_t>(from);
        const LossGradient unit = differentiated({begin, std::min(begin + 2, batch.end())});
        nll += unit.loss.nll;
        tokens += static_cast<std::int64_t>(unit.loss.tokens);
        for (std::size_t p = 0; p < 5; ++p) {
            std::vector<float>& to = expected.parts().at(p)->values;
            for (std::size_t i = 0; i < to.size(); ++i) {
                to[i] += unit.gradient.parts().at(p)->values[i];
            }
        }
    }
    scale(expected, 1.0 / static_cast<double>(tokens));
    const BatchGradient found = ranks().gradient(parameters_, 2);
    EXPECT_NEAR(found.step.nll, nll, 1e-8);
    EXPECT_EQ(found.step.tokens, tokens);
    EXPECT_FALSE(found.step.has_diverged);
    EXPECT_GT(norm(found.gradient), 0.01);
    expect_near(found.gradient, expected, 1e-7);
}

TEST_F(MixtureRanksTest, GateThatIsNotLearnedHasNoGradient) {
    for (const GateKind kind : {GateKind::frozen, GateKind::uniform}) {
        job_.mixture.gate.kind = kind;
        const BatchGradient found = ranks().gradient(parameters_, 0);
        EXPECT_EQ(found.gradient.w1, zero_parameters(small_shape()).w1);
        EXPECT_EQ(found.gradient.b2, zero_parameters(small_shape()).b2);
        EXPECT_NE(found.gradient.prompts, zero_parameters(small_shape()).prompts);
    }
}

TEST_F(MixtureRanksTest, EvaluationHasTheLossAndGateOfEachText) {
    const SplitLosses found = ranks().evaluate(parameters_, 1);
    ASSERT_EQ(found.losses.size(), 6U);
    const auto expect_measured = [&](const std::vector<std::size_t>& texts) {
        const MeasuredTexts measured =
            measure(model(), parameters_, GateUse::learned, LoadedTexts(dev_, texts).texts());
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const TextLoss& loss = found.losses[texts[i]];
            EXPECT_NEAR(loss.nll, measured.losses[i].nll, 1e-9);
            EXPECT_EQ(loss.tokens, 2U);
            EXPECT_EQ(loss.right, measured.losses[i].right);
            for (std::size_t e = 0; e < 2; ++e) {
                EXPECT_NEAR(found.gate.row(texts[i])[e], measured.gate.row(i)[e], 1e-7);
            }
        }
    };
    expect_measured({0, 1, 2, 3});  // four are measured together
    expect_measured({4, 5});
}

TEST_F(MixtureRanksTest, EvaluationOfParametersThatAreNoNumbersIsNoNumber) {
    for (float& value : parameters_.prompts.values) value = std::nanf("");
    MixtureRanks made = ranks();
    for (const TextLoss& loss : made.evaluate(parameters_, 1).losses) {
        EXPECT_TRUE(std::isnan(loss.nll));
    }
    EXPECT_TRUE(made.gradient(parameters_, 0).step.has_diverged);
}

TEST_F(MixtureRanksTest, RoundOfOneClientWithOneStepIsThatStep) {
    job_.federated = FederatedSpec{.clients = 1, .local_steps = 1};
    job_.train.batch_size = 9;
    job_.train.clip = 0.0;
    const RoundAverage found = ranks().round(parameters_, 0);
    EXPECT_THAT(found.clients, ElementsAre(0));
    EXPECT_FALSE(found.step.has_diverged);
    MixtureParameters expected = parameters_;
    AdamState adam = fresh_adam(small_shape());
    take_adam_step({.prompts = job_.train.prompts_rate, .gate = job_.train.gate_rate},
                   ranks().gradient(parameters_, 0).gradient, adam, expected);
    // Other micro-batches, as the client has an order of its own.
    expect_near(found.parameters, expected, 1e-4);
}

TEST_F(MixtureRanksTest, RoundIsMadeByThoseWhoTakePartAndAnswer) {
    job_.federated = FederatedSpec{.clients = 4, .local_steps = 2, .participation = 0.5};
    std::map<std::int64_t, int> rounds;
    MixtureRanks made = ranks();
    for (std::int64_t round = 0; round < 6; ++round) {
        const RoundAverage found = made.round(parameters_, round);
        ASSERT_EQ(found.clients.size(), 2U);
        for (const std::int64_t client : found.clients) ++rounds[client];
        EXPECT_NE(found.parameters, parameters_);
        EXPECT_EQ(found.parameters, made.round(parameters_, round).parameters);
    }
    EXPECT_GT(rounds.size(), 2U);
}

TEST_F(MixtureRanksTest, ClientWithoutExampleIsRefused) {
    job_.federated = FederatedSpec{.clients = 12};
    EXPECT_THAT([&] { (void)ranks(); },
                ThrowsMessage<UsageError>(HasSubstr("/federated/clients: client")));
}

TEST_F(MixtureRanksTest, RequestToStopComesWithTheNextResult) {
    MixtureRanks made = ranks();
    (void)made.gradient(parameters_, 0);
    EXPECT_FALSE(made.is_stop_asked());
    is_stop_asked_ = true;
    (void)made.gradient(parameters_, 1);
    EXPECT_TRUE(made.is_stop_asked());
}

}  // namespace
}  // namespace dln::mop
