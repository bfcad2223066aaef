#include "dln/report/comparison.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

/// Two systems' answers: `both` right, then those that only one of them got right, then `neither`.
struct Answers {
    std::vector<bool> first;
    std::vector<bool> second;
};

Answers answers(std::size_t both,
                std::size_t only_first,
                std::size_t only_second,
                std::size_t neither) {
    Answers made;
    const auto add = [&](std::size_t count, bool first, bool second) {
        made.first.insert(made.first.end(), count, first);
        made.second.insert(made.second.end(), count, second);
    };
    add(both, true, true);
    add(only_first, true, false);
    add(only_second, false, true);
    add(neither, false, false);
    return made;
}

/// The exact distribution of the sum of n gains that are drawn with replacement, by convolution.
std::map<int, double> exact_sums(int n, int only_first, int only_second) {
    const double up = static_cast<double>(only_second) / n;
    const double down = static_cast<double>(only_first) / n;
    std::map<int, double> sums{{0, 1.0}};
    for (int i = 0; i < n; ++i) {
        std::map<int, double> next;
        for (const auto& [sum, probability] : sums) {
            next[sum + 1] += probability * up;
            next[sum - 1] += probability * down;
            next[sum] += probability * (1.0 - up - down);
        }
        sums = std::move(next);
    }
    return sums;
}

int exact_quantile(const std::map<int, double>& sums, double share) {
    double below = 0.0;
    for (const auto& [sum, probability] : sums) {
        below += probability;
        if (below >= share) return sum;
    }
    return sums.rbegin()->first;
}

TEST(PairedBootstrap, AgreesWithTheExactDistributionOfResamples) {
    for (const auto& [only_first, only_second] :
         {std::array{3, 9}, std::array{12, 12}, std::array{0, 7}}) {
        const int n = 60;
        const auto exact = exact_sums(n, only_first, only_second);
        const auto made =
            answers(20, static_cast<std::size_t>(only_first), static_cast<std::size_t>(only_second),
                    static_cast<std::size_t>(n - 20 - only_first - only_second));
        const auto test = paired_bootstrap(made.first, made.second);
        EXPECT_DOUBLE_EQ(test.difference, static_cast<double>(only_second - only_first) / n);
        // Quantiles are whole examples; one with a probability near the border may fall beside it.
        EXPECT_NEAR(test.interval.low * n, exact_quantile(exact, 0.025), 1.0 + 1e-9);
        EXPECT_NEAR(test.interval.high * n, exact_quantile(exact, 0.975), 1.0 + 1e-9);
        double below = 0.0;
        double above = 0.0;
        for (const auto& [sum, probability] : exact) {
            below += sum <= 0 ? probability : 0.0;
            above += sum >= 0 ? probability : 0.0;
        }
        // Four standard errors of a share of 10,000 resamples, twice.
        EXPECT_NEAR(test.p_value, std::min(1.0, 2.0 * std::min(below, above)), 0.04);
    }
}

TEST(PairedBootstrap, CutsTheSameShareFromEachEnd) {
    // One example that only the second got right, of two: sums 0, 1, 2 with 1/4, 1/2, 1/4.
    const auto test = paired_bootstrap({false, false}, {true, false});
    EXPECT_EQ(test.interval.low, 0.0);
    EXPECT_EQ(test.interval.high, 1.0);
    EXPECT_NEAR(test.p_value, 0.5, 0.03);
    // 30 % from each end: past the quarter of 0s and the quarter of 2s.
    const auto half = paired_bootstrap({false, false}, {true, false}, 10'000, 0.4);
    EXPECT_EQ(half.interval.low, 0.5);
    EXPECT_EQ(half.interval.high, 0.5);
}

TEST(PairedBootstrap, IsMirroredWhenTheTwoChangePlaces) {
    const auto made = answers(30, 4, 11, 15);
    const auto there = paired_bootstrap(made.first, made.second);
    const auto back = paired_bootstrap(made.second, made.first);
    EXPECT_EQ(there.difference, -back.difference);
    EXPECT_EQ(there.interval.low, -back.interval.high);
    EXPECT_EQ(there.interval.high, -back.interval.low);
    EXPECT_EQ(there.p_value, back.p_value);
}

TEST(PairedBootstrap, SeesNoDifferenceWithoutDiscordantPairs) {
    const auto made = answers(5, 0, 0, 5);
    const auto test = paired_bootstrap(made.first, made.second);
    EXPECT_EQ(test.interval.low, 0.0);
    EXPECT_EQ(test.interval.high, 0.0);
    EXPECT_EQ(test.p_value, 1.0);
}

TEST(PairedBootstrap, CountsTheMeasuredDifferenceSoThatNoPValueIsZero) {
    const auto made = answers(0, 0, 50, 0);
    EXPECT_DOUBLE_EQ(paired_bootstrap(made.first, made.second).p_value, 2.0 / 10'001.0);
    EXPECT_DOUBLE_EQ(paired_bootstrap(made.first, made.second, 99).p_value, 2.0 / 100.0);
}

TEST(PairedBootstrap, RefusesWhatCannotBePaired) {
    EXPECT_THROW((void)paired_bootstrap({true}, {}), InternalError);
    EXPECT_THROW((void)paired_bootstrap({}, {}), InternalError);
}

TEST(HolmAdjusted, MultipliesByWhatIsLeftAndNeverFalls) {
    // As R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"): 0.04 * 1 is raised to 0.03 * 2.
    EXPECT_THAT(holm_adjusted({0.01, 0.04, 0.03, 0.005}),
                Pointwise(DoubleNear(1e-12), std::vector{0.03, 0.06, 0.06, 0.02}));
}

TEST(HolmAdjusted, LeavesOneTestAndStopsAtOne) {
    EXPECT_THAT(holm_adjusted({0.03}), ElementsAre(0.03));
    EXPECT_THAT(holm_adjusted({0.6, 0.7}), ElementsAre(1.0, 1.0));
    EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(Spread, HasRunsMinusOneInItsDenominator) {
    const Spread spread = spread_of({2.0, 4.0, 9.0});
    EXPECT_EQ(spread.runs, 3U);
    EXPECT_DOUBLE_EQ(spread.mean, 5.0);
    EXPECT_DOUBLE_EQ(spread.deviation.value(), std::sqrt(26.0 / 2.0));
}

TEST(Spread, OfOneRunIsUnknown) { EXPECT_FALSE(spread_of({0.5}).deviation.has_value()); }

TEST(PermutationTest, IsTheShareOfDealsThatDifferAsMuch) {
    // Sums of {3, 5} among {3, 5, 4, 6}: 8 7 9 9 11 10, measured 8; 7, 8, 10, 11 are as far from 9.
    const auto overlapping = permutation_test({3, 5}, {4, 6});
    EXPECT_DOUBLE_EQ(overlapping.p_value, 4.0 / 6.0);
    EXPECT_DOUBLE_EQ(overlapping.least_p, 2.0 / 6.0);
    EXPECT_TRUE(overlapping.is_exact);
    // Fully apart: this deal and its mirror image, of 20.
    EXPECT_DOUBLE_EQ(permutation_test({1, 2, 3}, {4, 5, 6}).p_value, 2.0 / 20.0);
    // Unequal numbers of runs have no mirror image: 1 of 4.
    const auto unequal = permutation_test({9}, {1, 2, 3});
    EXPECT_DOUBLE_EQ(unequal.p_value, 1.0 / 4.0);
    EXPECT_DOUBLE_EQ(unequal.least_p, 1.0 / 4.0);
}

TEST(PermutationTest, ProvesNothingWithOneRunEach) {
    const auto test = permutation_test({0}, {400});
    EXPECT_EQ(test.p_value, 1.0);
    EXPECT_EQ(test.least_p, 1.0);
}

TEST(PermutationTest, DoesNotCareWhichComesFirst) {
    EXPECT_EQ(permutation_test({3, 8, 8}, {9, 7}).p_value,
              permutation_test({9, 7}, {3, 8, 8}).p_value);
}

TEST(PermutationTest, DrawsRandomDealsWhenThereAreTooMany) {
    std::vector<std::int64_t> low;
    std::vector<std::int64_t> high;
    for (std::int64_t i = 0; i < 11; ++i) {
        low.push_back(i);
        high.push_back(i + 100);
    }
    const auto apart = permutation_test(low, high);
    EXPECT_FALSE(apart.is_exact);
    EXPECT_DOUBLE_EQ(apart.p_value, 1.0 / 10'001.0);  // no draw in 10,000 hits 2 of 705,432 deals
    EXPECT_DOUBLE_EQ(apart.least_p, 1.0 / 10'001.0);
    EXPECT_EQ(permutation_test(low, low).p_value, 1.0);
}

TEST(PermutationTest, DrawsAgreeWithTheExactTest) {
    // 0s and 1s: how many of the 1s the first method gets is hypergeometric, here 3 of 11 and 8 of 11.
    std::vector<std::int64_t> first(11, 0);
    std::vector<std::int64_t> second(11, 1);
    std::swap_ranges(first.begin(), first.begin() + 3, second.begin());
    // 2 (C(11,0)^2 + C(11,1)^2 + C(11,2)^2 + C(11,3)^2) / C(22,11)
    const double exact = 2.0 * (1.0 + 121.0 + 3'025.0 + 27'225.0) / 705'432.0;
    const auto test = permutation_test(first, second);
    EXPECT_FALSE(test.is_exact);
    EXPECT_NEAR(test.p_value, exact, 4.0 * std::sqrt(exact * (1.0 - exact) / 10'000.0));
}

}  // namespace
}  // namespace dln
