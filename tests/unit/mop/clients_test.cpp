// Clients of a federation: who has what, and who takes part.

#include "dln/mop/clients.hpp"

#include <set>

#include <gmock/gmock.h>

#include "dln/error.hpp"

#include "mop/client_training.hpp"
#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

std::vector<std::size_t> tasks_in_turn(std::size_t examples, std::size_t tasks) {
    std::vector<std::size_t> task_of;
    for (std::size_t i = 0; i < examples; ++i) task_of.push_back(i % tasks);
    return task_of;
}

void expect_partition(const std::vector<std::vector<std::size_t>>& clients, std::size_t examples) {
    std::vector<std::size_t> all;
    for (const auto& client : clients) all.insert(all.end(), client.begin(), client.end());
    std::ranges::sort(all);
    std::vector<std::size_t> expected(examples);
    for (std::size_t i = 0; i < examples; ++i) expected[i] = i;
    EXPECT_EQ(all, expected);
}

TEST(ClientsTest, TaskSkewGivesEachClientOneOrTwoTasksAndEveryExampleAClient) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        for (const std::size_t count : {3U, 5U, 12U}) {
            const auto task_of = tasks_in_turn(240, 5);
            const auto clients = make_clients(task_of, 5, {.clients = count}, seed);
            expect_partition(clients, 240);
            for (const auto& client : clients) {
                std::set<std::size_t> tasks;
                for (const std::size_t i : client) tasks.insert(task_of[i]);
                EXPECT_THAT(tasks.size(), ::testing::AnyOf(1U, 2U));
            }
        }
    }
}

TEST(ClientsTest, DirichletSharesDifferMoreTheSmallerAlphaIs) {
    const auto task_of = tasks_in_turn(3000, 3);
    const auto largest_share = [&](double alpha) {
        FederatedSpec spec{.clients = 4, .skew = ClientSkew::dirichlet, .alpha = alpha};
        double sum = 0.0;
        int drawn = 0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            try {
                const auto clients = make_clients(task_of, 3, spec, seed);
                expect_partition(clients, 3000);
                std::vector<std::size_t> of_first(4);
                for (std::size_t c = 0; c < 4; ++c) {
                    for (const std::size_t i : clients[c]) of_first[c] += task_of[i] == 0 ? 1U : 0U;
                }
                sum += static_cast<double>(*std::ranges::max_element(of_first)) / 1000.0;
                ++drawn;
            } catch (const UsageError&) {
                continue;  // a client without an example
            }
        }
        return sum / drawn;
    };
    EXPECT_GT(largest_share(0.2), 0.6);
    EXPECT_LT(largest_share(100.0), 0.35);
}

TEST(ClientsTest, AClientWithoutAnExampleIsRefusedByNumber) {
    try {
        (void)make_clients({0, 0}, 1, {.clients = 3}, 1);
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr("of 3 has no example"));
    }
}

TEST(RoundTest, TakesTheShareAskedForAndLeavesOutWhoDropsOut) {
    FederatedSpec spec{.clients = 10, .participation = 0.3};
    std::set<std::size_t> seen;
    for (std::int64_t round = 0; round < 50; ++round) {
        const auto clients = draw_round(spec, 1, round);
        EXPECT_EQ(clients.size(), 3U);
        EXPECT_TRUE(std::ranges::is_sorted(clients));
        EXPECT_EQ(clients, draw_round(spec, 1, round));
        seen.insert(clients.begin(), clients.end());
    }
    EXPECT_EQ(seen.size(), 10U);
    spec = {.clients = 10, .drop_out = 0.5};
    std::size_t answering = 0;
    for (std::int64_t round = 0; round < 100; ++round) {
        answering += draw_round(spec, 1, round).size();
    }
    EXPECT_GT(answering, 400U);
    EXPECT_LT(answering, 600U);
}

TEST(RoundTest, SomebodyAlwaysAnswers) {
    const FederatedSpec spec{.clients = 2, .participation = 0.5, .drop_out = 0.999};
    for (std::int64_t round = 0; round < 20; ++round) {
        EXPECT_EQ(draw_round(spec, 1, round).size(), 1U);
    }
}

ClientResult result_of(std::int64_t client,
                       std::int64_t examples,
                       float value,
                       std::vector<double> mass) {
    MixtureParameters parameters = zero_parameters(testing::small_shape());
    for (nn::Matrix* part : parameters.parts()) std::ranges::fill(part->values, value);
    return {.client = client,
            .examples = examples,
            .step = {.nll = 1.0, .tokens = 2},
            .gate_mass = std::move(mass),
            .parameters = std::move(parameters)};
}

TEST(AverageTest, WeighsClientsByTheirExamples) {
    const RoundAverage round =
        average({result_of(0, 30, 1.0F, {0.5, 0.5}), result_of(2, 10, 5.0F, {0.5, 0.5})},
                Averaging::examples);
    for (const nn::Matrix* part : round.parameters.parts()) {
        EXPECT_THAT(part->values, ::testing::Each(2.0F));
    }
    EXPECT_THAT(round.clients, ::testing::ElementsAre(0, 2));
    EXPECT_EQ(round.step.tokens, 4);
}

TEST(AverageTest, ByGateMassAnExpertIsOfThoseWhoUseIt) {
    const RoundAverage round =
        average({result_of(0, 10, 1.0F, {0.9, 0.1}), result_of(1, 10, 5.0F, {0.1, 0.9})},
                Averaging::gate_mass);
    EXPECT_NEAR(round.parameters.prompts.values.front(), 0.9 * 1.0 + 0.1 * 5.0, 1e-6);
    EXPECT_NEAR(round.parameters.prompts.values.back(), 0.1 * 1.0 + 0.9 * 5.0, 1e-6);
    EXPECT_EQ(round.parameters.w1.values.front(), 3.0F);
}

TEST(AverageTest, OneClientThatDivergedSpoilsTheRound) {
    ClientResult bad = result_of(1, 10, 5.0F, {0.5, 0.5});
    bad.step.has_diverged = true;
    EXPECT_TRUE(
        average({result_of(0, 10, 1.0F, {0.5, 0.5}), bad}, Averaging::examples).step.has_diverged);
}

TEST(ClientResultTest, ComesBackFromBytes) {
    ClientResult result = result_of(4, 10, 5.0F, {0.25, 0.75});
    result.parameters = testing::random_parameters(testing::small_shape(), 3);
    const ClientResult back = deserialize_client(serialize(result), testing::small_shape());
    EXPECT_EQ(back.client, 4);
    EXPECT_EQ(back.parameters, result.parameters);
    EXPECT_EQ(back.gate_mass, result.gate_mass);
}

}  // namespace
}  // namespace dln::mop
