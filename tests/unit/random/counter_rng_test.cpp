#include "dln/random/counter_rng.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

std::vector<std::uint64_t> draw(const RandomKey& key, std::size_t n = 8) {
    CounterRng rng(key);
    std::vector<std::uint64_t> result(n);
    std::generate(result.begin(), result.end(), [&] { return rng.next(); });
    return result;
}

TEST(CounterRng, MatchesThePublishedPhiloxAnswers) {
    // Random123's known answer for philox4x64-10 with key and counter 0.
    const auto drawn = draw({.role = static_cast<RandomRole>(0)}, 4);
    EXPECT_EQ(drawn, (std::vector<std::uint64_t>{0x16554d9eca36314c, 0xdb20fe9d672d0fdc,
                                                 0xd7e772cee186176b, 0x7e68b68aec7ba23b}));
}

TEST(CounterRng, NeverChangesWhatAKeyDraws) {
    // Frozen: runs resumed by a later version must draw the same. Never adapt these numbers.
    const auto drawn = draw({.seed = 7,
                             .step = 3,
                             .layer = 2,
                             .role = RandomRole::proposal_order,
                             .example = 11,
                             .sample = 5},
                            6);
    EXPECT_EQ(drawn, (std::vector<std::uint64_t>{13240318310859954554U, 13588919821468278128U,
                                                 4936029881406491195U, 12673355839686287724U,
                                                 4441291062467941488U, 3365103274330640530U}));
}

TEST(CounterRng, DrawsTheSameFromTheSameKey) {
    EXPECT_EQ(draw({.seed = 1, .example = 4}), draw({.seed = 1, .example = 4}));
}

TEST(CounterRng, DrawsOtherNumbersWhenAnyFieldOfTheKeyDiffers) {
    const std::vector<RandomKey> keys{{},
                                      {.seed = 1},
                                      {.step = 1},
                                      {.layer = 1},
                                      {.role = RandomRole::few_shot},
                                      {.example = 1},
                                      {.sample = 1},
                                      {.layer = 2}};
    std::set<std::uint64_t> seen;
    for (const auto& key : keys) {
        for (const auto bits : draw(key)) {
            EXPECT_TRUE(seen.insert(bits).second);
        }
    }
}

TEST(CounterRng, UsesAllBitsOfALargeField) {
    const std::uint64_t high = std::uint64_t{1} << 63U;
    EXPECT_NE(draw({.seed = high}), draw({}));
    EXPECT_NE(draw({.step = high}), draw({}));
    EXPECT_NE(draw({.example = high}), draw({}));
    EXPECT_NE(draw({.sample = high}), draw({}));
    EXPECT_THROW(CounterRng({.layer = high}), InternalError);
}

TEST(Below, StaysBelowItsBoundAndReachesEveryValue) {
    CounterRng rng({.seed = 2});
    std::vector<int> counts(6);
    for (int i = 0; i < 6000; ++i) {
        ++counts.at(rng.below(6));
    }
    for (const auto count : counts) {
        EXPECT_NEAR(count, 1000, 150);  // 5 standard deviations
    }
    EXPECT_EQ(rng.below(1), 0U);
    EXPECT_THROW((void)rng.below(0), InternalError);
}

TEST(Below, HasNoBiasForBoundsNear2To64) {
    // Plain remainders of a bound of 3/4 * 2^64 would land in the first third half of the time.
    CounterRng rng({.seed = 3});
    const std::uint64_t bound = std::uint64_t{3} << 62U;
    int first_third = 0;
    for (int i = 0; i < 6000; ++i) {
        first_third += rng.below(bound) < bound / 3 ? 1 : 0;
    }
    EXPECT_NEAR(first_third, 2000, 190);
}

TEST(Uniform, LiesInTheHalfOpenUnitInterval) {
    CounterRng rng({.seed = 4});
    double sum = 0.0;
    for (int i = 0; i < 10000; ++i) {
        const auto u = rng.uniform();
        ASSERT_GE(u, 0.0);
        ASSERT_LT(u, 1.0);
        sum += u;
    }
    EXPECT_NEAR(sum / 10000, 0.5, 0.015);
}

TEST(Permutation, HoldsEveryIndexOnce) {
    for (const std::size_t n : {0U, 1U, 2U, 1000U}) {
        auto order = CounterRng({.seed = 5}).permutation(n);
        std::sort(order.begin(), order.end());
        for (std::size_t i = 0; i < n; ++i) {
            ASSERT_EQ(order[i], i);
        }
        EXPECT_EQ(order.size(), n);
    }
}

TEST(Permutation, DrawsAllOrdersEquallyOften) {
    std::vector<std::vector<std::size_t>> orders;
    for (std::uint64_t i = 0; i < 6000; ++i) {
        orders.push_back(CounterRng({.seed = 6, .example = i}).permutation(3));
    }
    std::sort(orders.begin(), orders.end());
    std::vector<std::size_t> order{0, 1, 2};
    do {
        EXPECT_NEAR(static_cast<double>(std::count(orders.begin(), orders.end(), order)), 1000,
                    150);
    } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace dln
