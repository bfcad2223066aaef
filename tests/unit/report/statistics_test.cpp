#include "dln/report/statistics.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

TEST(WilsonInterval, AgreesWithPublishedValues) {
    // Newcombe (1998), Table I, method 3: 81 of 263, 15 of 148, 1 of 29
    const auto a = wilson_interval(81, 263);
    EXPECT_NEAR(a.low, 0.2553, 5e-5);
    EXPECT_NEAR(a.high, 0.3662, 5e-5);
    const auto b = wilson_interval(15, 148);
    EXPECT_NEAR(b.low, 0.0624, 5e-5);
    EXPECT_NEAR(b.high, 0.1605, 5e-5);
    const auto c = wilson_interval(1, 29);
    EXPECT_NEAR(c.low, 0.0061, 5e-5);
    EXPECT_NEAR(c.high, 0.1718, 5e-5);
}

TEST(WilsonInterval, EndsExactlyAtZeroAndOne) {
    const auto none = wilson_interval(0, 20);
    EXPECT_EQ(none.low, 0.0);
    EXPECT_NEAR(none.high, 0.1611, 5e-5);
    const auto all = wilson_interval(20, 20);
    EXPECT_EQ(all.high, 1.0);
    EXPECT_NEAR(all.low, 1.0 - none.high, 1e-12);
}

TEST(WilsonInterval, KnowsNothingWithoutTrials) {
    const auto interval = wilson_interval(0, 0);
    EXPECT_EQ(interval.low, 0.0);
    EXPECT_EQ(interval.high, 1.0);
}

TEST(WilsonInterval, WidensWithConfidence) {
    EXPECT_LT(wilson_interval(5, 10, 0.99).low, wilson_interval(5, 10, 0.9).low);
}

TEST(WilsonInterval, RefusesMoreSuccessesThanTrials) {
    EXPECT_THROW((void)wilson_interval(2, 1), InternalError);
}

TEST(BootstrapRatio, OfEqualPairsIsTheirRatio) {
    const std::vector<double> above(8, 3.0);
    const std::vector<double> below(8, 2.0);
    const Interval interval = bootstrap_ratio(above, below, 1);
    EXPECT_EQ(interval.low, 1.5);
    EXPECT_EQ(interval.high, 1.5);
}

TEST(BootstrapRatio, HoldsTheRatioOfSumsAndNotTheMeanOfRatios) {
    // Ratio of sums 100 / 910; mean of ratios 0.55.
    std::vector<double> above;
    std::vector<double> below;
    for (int i = 0; i < 50; ++i) {
        above.insert(above.end(), {1.0, 9.0});
        below.insert(below.end(), {1.0, 90.0});
    }
    const Interval interval = bootstrap_ratio(above, below, 1);
    EXPECT_LT(interval.low, 10.0 / 91.0);
    EXPECT_GT(interval.high, 10.0 / 91.0);
    EXPECT_LT(interval.high, 0.2);
}

TEST(BootstrapRatio, OfAMeanIsAsWideAsTheNormalApproximation) {
    std::vector<double> above;
    for (int i = 0; i < 400; ++i) above.push_back(i % 2 == 0 ? 0.0 : 1.0);
    const std::vector<double> below(400, 1.0);
    const Interval interval = bootstrap_ratio(above, below, 7);
    EXPECT_NEAR(interval.low, 0.5 - 1.96 * 0.025, 0.006);
    EXPECT_NEAR(interval.high, 0.5 + 1.96 * 0.025, 0.006);
    EXPECT_GT(bootstrap_ratio(above, below, 7, 0.8).low, interval.low);
    EXPECT_EQ(bootstrap_ratio(above, below, 7).low, interval.low);
}

TEST(BootstrapRatio, KnowsNothingWithoutPairs) {
    const Interval interval = bootstrap_ratio({}, {}, 1);
    EXPECT_EQ(interval.low, 0.0);
    EXPECT_EQ(interval.high, 0.0);
}

/// `both` examples that the two share, then those that only one of them got right.
PairedTest compare(std::size_t both, std::size_t only_first, std::size_t only_second) {
    std::vector<bool> first(both, true);
    std::vector<bool> second(both, true);
    first.insert(first.end(), only_first, true);
    second.insert(second.end(), only_first, false);
    first.insert(first.end(), only_second, false);
    second.insert(second.end(), only_second, true);
    return mcnemar(first, second);
}

TEST(McNemar, IsTheExactBinomialOverDiscordantPairs) {
    const auto test = compare(50, 1, 8);
    EXPECT_EQ(test.only_first, 1U);
    EXPECT_EQ(test.only_second, 8U);
    EXPECT_NEAR(test.p_value, 2.0 * (1 + 9) / 512.0, 1e-12);
}

TEST(McNemar, DoesNotCareWhichComesFirst) {
    EXPECT_DOUBLE_EQ(compare(3, 2, 7).p_value, compare(3, 7, 2).p_value);
}

TEST(McNemar, NeverExceedsOne) { EXPECT_DOUBLE_EQ(compare(3, 2, 2).p_value, 1.0); }

TEST(McNemar, SeesNoDifferenceWithoutDiscordantPairs) {
    EXPECT_EQ(compare(7, 0, 0).p_value, 1.0);
    EXPECT_EQ(mcnemar({}, {}).p_value, 1.0);
}

TEST(McNemar, RefusesDifferentNumbersOfExamples) {
    EXPECT_THROW((void)mcnemar({true}, {}), InternalError);
}

TEST(LowerBoundOfMean, IsThatOfStudentsT) {
    // mean 1, standard error 0.0408248, t(3; 0.95) = 2.3533634
    EXPECT_NEAR(lower_bound_of_mean(std::vector{1.0, 1.1, 0.9, 1.0}, 0.95), 0.9039244, 1e-6);
    EXPECT_DOUBLE_EQ(lower_bound_of_mean(std::vector{2.0, 2.0, 2.0}, 0.95), 2.0);
}

TEST(LowerBoundOfMean, TwoDifferencesSayNothing) {
    EXPECT_EQ(lower_bound_of_mean(std::vector{5.0, 5.0}, 0.95),
              -std::numeric_limits<double>::infinity());
}

TEST(IntervalOfMean, IsThatOfStudentsT) {
    const std::vector<double> values{1.0, 2.0, 3.0};
    const auto interval = interval_of_mean(values);
    // t(0.975, 2) = 4.302653, standard error 1/sqrt(3)
    EXPECT_NEAR(interval->low, 2.0 - 4.302653 / std::sqrt(3.0), 1e-6);
    EXPECT_NEAR(interval->high, 2.0 + 4.302653 / std::sqrt(3.0), 1e-6);
}

TEST(IntervalOfMean, OneValueHasNone) {
    EXPECT_FALSE(interval_of_mean(std::vector<double>{1.0}).has_value());
}

}  // namespace
}  // namespace dln
