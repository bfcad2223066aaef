#include "train/plan_spread.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(VarianceRatio, ComparesPromptsWithWhatIsLeftWithin) {
    // Means of prompts 1.5 and 4.5, of examples 2 and 4: what is left is 0.5 everywhere.
    EXPECT_DOUBLE_EQ(variances({{1.0, 2.0}, {3.0, 6.0}}).ratio(), 9.0);
}

TEST(VarianceRatio, IsNegativeWhereNothingVaries) {
    EXPECT_LT(variances({{0.0, 0.0}, {0.0, 0.0}}).ratio(), 0.0);
}

TEST(Spreads, AreDrawnByTheirWeights) {
    const Spreads spreads = expected_spreads();
    EXPECT_DOUBLE_EQ(spreads.at(0.0), 0.0);
    EXPECT_DOUBLE_EQ(spreads.at(0.49), 0.0);
    EXPECT_DOUBLE_EQ(spreads.at(0.51), 1.0);
    EXPECT_DOUBLE_EQ(spreads.at(0.99), 4.0);
}

TEST(Spreads, WithoutDifferencesBetweenPromptsChanceIsLikelier) {
    const Spreads spreads = spreads_by_ratio(1.0, 4, 12, 16);
    EXPECT_GT(spreads.weights[0], 0.6);
    EXPECT_NEAR(std::accumulate(spreads.weights.begin(), spreads.weights.end(), 0.0), 1.0, 1e-12);
}

TEST(Spreads, ClearDifferencesBetweenPromptsAreSeen) {
    const Spreads spreads = spreads_by_ratio(30.0, 4, 12, 16);
    EXPECT_LT(spreads.weights[0], 0.01);
    EXPECT_GT(spreads.weights[3], 0.3);
}

TEST(Spreads, WhatCannotBeMeasuredStaysAsExpected) {
    EXPECT_EQ(spreads_by_ratio(-1.0, 4, 12, 16).weights, expected_spreads().weights);
    EXPECT_EQ(spreads_by_ratio(3.0, 1, 12, 16).weights, expected_spreads().weights);
}

}  // namespace
}  // namespace dln
