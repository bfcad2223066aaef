// Ranks that work together on a mixture find what one rank alone finds, to the last bit.

#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/mop/ranks.hpp"

#include "support/mpi_world.hpp"
#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

using dln::testing::world;
using testing::random_parameters;
using testing::small_job;
using testing::small_model;
using testing::small_shape;
using testing::small_texts;

class MixtureRanksMpiTest : public ::testing::Test {
  protected:
    [[nodiscard]] MixtureRanks ranks(Communicator& comm,
                                     std::function<bool()> is_stop_asked = {},
                                     std::function<void()> on_turn = {}) {
        return MixtureRanks(comm, {.job = job_,
                                   .model = {.weights = &weights_, .first_block = 1},
                                   .shape = small_shape(),
                                   .splits = {&train_, &dev_, &dev_},
                                   .is_stop_asked = std::move(is_stop_asked),
                                   .on_turn = std::move(on_turn)});
    }
    /// `on_root` compares what all ranks find with what one finds.
    void compare(const std::function<void(MixtureRanks& all, MixtureRanks& one)>& on_root) {
        MixtureRanks all = ranks(world());
        if (world().rank() != 0) {
            all.serve();
            return;
        }
        const std::unique_ptr<Communicator> alone = make_local_communicator();
        MixtureRanks one = ranks(*alone);
        on_root(all, one);
        all.end();
    }

    LlamaWeights weights_ = small_model();
    MixtureTexts train_ = small_texts(weights_, 11);
    MixtureTexts dev_ = small_texts(weights_, 7);
    MopJob job_ = small_job();
    MixtureParameters parameters_ = random_parameters(small_shape(), 1);
};

TEST_F(MixtureRanksMpiTest, GradientIsThatOfOneRank) {
    compare([this](MixtureRanks& all, MixtureRanks& one) {
        for (std::int64_t step = 0; step < 4; ++step) {
            const BatchGradient found = all.gradient(parameters_, step);
            const BatchGradient expected = one.gradient(parameters_, step);
            EXPECT_EQ(found.gradient, expected.gradient);
            EXPECT_EQ(found.step.nll, expected.step.nll);
            EXPECT_EQ(found.step.tokens, expected.step.tokens);
        }
    });
}

TEST_F(MixtureRanksMpiTest, EvaluationIsThatOfOneRank) {
    compare([this](MixtureRanks& all, MixtureRanks& one) {
        const SplitLosses found = all.evaluate(parameters_, 1);
        const SplitLosses expected = one.evaluate(parameters_, 1);
        EXPECT_EQ(found.gate, expected.gate);
        ASSERT_EQ(found.losses.size(), expected.losses.size());
        for (std::size_t i = 0; i < found.losses.size(); ++i) {
            EXPECT_EQ(found.losses[i].nll, expected.losses[i].nll);
            EXPECT_EQ(found.losses[i].right, expected.losses[i].right);
        }
    });
}

TEST_F(MixtureRanksMpiTest, RoundsAreThoseOfOneRank) {
    job_.federated = FederatedSpec{.clients = 5, .local_steps = 2, .participation = 0.7};
    for (const Averaging averaging : {Averaging::examples, Averaging::gate_mass}) {
        job_.federated->averaging = averaging;
        compare([this](MixtureRanks& all, MixtureRanks& one) {
            for (std::int64_t round = 0; round < 3; ++round) {
                const RoundAverage found = all.round(parameters_, round);
                const RoundAverage expected = one.round(parameters_, round);
                EXPECT_EQ(found.parameters, expected.parameters);
                EXPECT_EQ(found.clients, expected.clients);
                EXPECT_EQ(found.step.nll, expected.step.nll);
            }
        });
    }
}

TEST_F(MixtureRanksMpiTest, RequestToStopThatOnlyTheLastRankGotComesToRankZero) {
    const bool is_last = world().rank() == world().size() - 1;
    MixtureRanks all = ranks(world(), [is_last] { return is_last; });
    if (world().rank() != 0) {
        all.serve();
        return;
    }
    (void)all.gradient(parameters_, 0);
    EXPECT_TRUE(all.is_stop_asked());
    all.end();
}

TEST_F(MixtureRanksMpiTest, FailureOfRankZeroLeavesTheOthersReadyForOtherWork) {
    job_.federated = FederatedSpec{.clients = 5, .local_steps = 1};
    bool fails = false;
    MixtureRanks all = ranks(world(), {}, [&fails] {
        if (fails) throw Error(ExitCode::internal_error, "the lock was lost");
    });
    if (world().rank() != 0) {
        all.serve();
        return;
    }
    const BatchGradient expected = all.gradient(parameters_, 0);
    fails = true;
    EXPECT_THROW((void)all.gradient(parameters_, 0), Error);
    EXPECT_THROW((void)all.evaluate(parameters_, 1), Error);
    EXPECT_THROW((void)all.round(parameters_, 0), Error);
    fails = false;
    EXPECT_EQ(all.gradient(parameters_, 0).gradient, expected.gradient);
    all.end();
}

}  // namespace
}  // namespace dln::mop
