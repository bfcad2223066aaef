#include "dln/train/select.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"

namespace dln {
namespace {

/// A candidate whose `scored` scores have this mean.
CandidateScore score_of(std::size_t candidate, double mean, std::size_t scored = 8) {
    return {.candidate = candidate,
            .sum = to_fixed_point(mean * static_cast<double>(scored)),
            .scored = scored,
            .failed = 8 - scored};
}

std::size_t select(const std::vector<CandidateScore>& table, double margin = 0.0) {
    return select_best(table, 8, margin);
}

TEST(SelectBest, HighestMeanWins) {
    EXPECT_EQ(select({score_of(0, -2.0), score_of(1, -1.0), score_of(2, -1.5)}), 1U);
    EXPECT_EQ(select({score_of(0, -1.0), score_of(1, -2.0)}), 0U);
}

TEST(SelectBest, KeepsIncumbentOnTie) {
    EXPECT_EQ(select({score_of(0, -1.0), score_of(1, -1.0)}), 0U);
}

TEST(SelectBest, TieOfOthersGoesToTheFirst) {
    EXPECT_EQ(select({score_of(0, -2.0), score_of(1, -1.0), score_of(2, -1.0)}), 1U);
}

TEST(SelectBest, IncumbentMustBeBeatenByMoreThanTheMargin) {
    const std::vector<CandidateScore> table{score_of(0, -2.0), score_of(1, -1.5)};
    EXPECT_EQ(select(table, 0.5), 0U);
    EXPECT_EQ(select(table, 0.25), 1U);
}

TEST(SelectBest, MarginDoesNotStandBetweenOthers) {
    EXPECT_EQ(select({score_of(0, -2.0), score_of(1, -1.5), score_of(2, -1.25)}, 0.4), 2U);
}

TEST(SelectBest, SmallestDifferenceOfFixedPointCounts) {
    std::vector<CandidateScore> table{score_of(0, -2.0), score_of(1, -2.0)};
    ++table[1].sum;
    EXPECT_EQ(select(table), 1U);
}

TEST(SelectBest, IgnoresCandidateWithTooFewScores) {
    EXPECT_EQ(select({score_of(0, -2.0), score_of(1, -0.1, 7), score_of(2, -1.0)}), 2U);
    EXPECT_EQ(select_best(std::vector{score_of(0, -2.0), score_of(1, -0.1, 7)}, 7, 0.0), 1U);
}

TEST(SelectBest, IncumbentStaysWhenItHasTooFewScoresItself) {
    EXPECT_EQ(select({score_of(0, -2.0, 7), score_of(1, -1.0)}), 0U);
    EXPECT_EQ(select({score_of(0, 0.0, 0), score_of(1, 0.0, 0)}), 0U);
    EXPECT_EQ(select({}), 0U);
}

TEST(SelectBest, CandidateWithoutAnyScoreNeverWins) {
    const std::vector<CandidateScore> table{score_of(0, -2.0), score_of(1, 0.0, 0)};
    EXPECT_TRUE(std::isnan(table[1].mean()));
    EXPECT_EQ(select_best(table, 0, 0.0), 0U);
}

TEST(CandidateScore, MeanIsOverWhatWasScored) {
    EXPECT_DOUBLE_EQ(score_of(0, -1.5, 4).mean(), -1.5);
}

}  // namespace
}  // namespace dln
