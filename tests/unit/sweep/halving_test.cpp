#include "dln/sweep/halving.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;

std::vector<std::int64_t> steps_of(const HalvingBracket& bracket) { return bracket.steps; }

TEST(AshaBrackets, RungsGrowByTheReductionAndEndAtTheMost) {
    EXPECT_THAT(steps_of(asha_brackets(27, 1, 9, 3)[0]), ElementsAre(1, 3, 9));
    EXPECT_THAT(steps_of(asha_brackets(27, 2, 20, 3)[0]), ElementsAre(2, 6, 18, 20));
    EXPECT_THAT(steps_of(asha_brackets(5, 4, 4, 2)[0]), ElementsAre(4));
}

// Table 1 of the paper: most 81, reduction 3.
TEST(HyperbandBrackets, AreThoseOfThePaper) {
    const auto brackets = hyperband_brackets(1, 81, 3);
    ASSERT_EQ(brackets.size(), 5U);
    std::vector<std::uint64_t> configurations;
    std::vector<std::int64_t> least;
    for (const HalvingBracket& bracket : brackets) {
        configurations.push_back(bracket.configurations);
        least.push_back(bracket.steps.front());
        EXPECT_EQ(bracket.steps.back(), 81);
    }
    EXPECT_THAT(configurations, ElementsAre(81, 34, 15, 8, 5));
    EXPECT_THAT(least, ElementsAre(1, 3, 9, 27, 81));
    EXPECT_EQ(brackets[2].first, 81U + 34U);
}

class HalvingTest : public ::testing::Test {
  protected:
    HalvingWork given() {
        const auto work = halving_.next();
        if (!work) throw std::runtime_error("nothing is next");
        halving_.give(*work);
        return *work;
    }
    void expect_next(std::uint64_t configuration, std::int64_t steps) {
        const HalvingWork work = given();
        EXPECT_EQ(work.configuration, configuration);
        EXPECT_EQ(work.steps, steps);
        last_ = work;
    }
    Halving halving_{asha_brackets(9, 1, 9, 3), 3, SweepGoal::max};
    HalvingWork last_;
};

TEST_F(HalvingTest, ConfigurationIsPromotedAsSoonAsItIsInTheTopThird) {
    const HalvingWork a = given();
    const HalvingWork b = given();
    const HalvingWork c = given();
    halving_.observe(a, 0.5);
    halving_.observe(c, 0.7);
    expect_next(3, 1);  // a third of two is none
    halving_.observe(b, 0.6);
    expect_next(2, 3);
    expect_next(4, 1);
}

TEST_F(HalvingTest, PromotedOnceOnly) {
    std::vector<HalvingWork> first{given(), given(), given()};
    for (const HalvingWork& work : first) halving_.observe(work, 0.5);
    expect_next(0, 3);  // ties go to the first
    expect_next(3, 1);
    EXPECT_THROW(halving_.give(last_), InternalError);
}

TEST_F(HalvingTest, FailedConfigurationsCountAndAreNeverPromoted) {
    std::vector<HalvingWork> first{given(), given(), given()};
    for (const HalvingWork& work : first) halving_.observe(work, std::nullopt);
    expect_next(3, 1);
    halving_.observe(last_, std::nan(""));
    expect_next(4, 1);
    halving_.observe(last_, -2.0);
    expect_next(4, 3);  // the best of five
    expect_next(5, 1);
}

TEST_F(HalvingTest, LessIsBetterWhereTheGoalIsTheLeast) {
    halving_ = Halving(asha_brackets(9, 1, 9, 3), 3, SweepGoal::min);
    std::vector<HalvingWork> first{given(), given(), given()};
    halving_.observe(first[0], 3.0);
    halving_.observe(first[1], 1.0);
    halving_.observe(first[2], 2.0);
    expect_next(1, 3);
}

// With one worker and the best configuration first or last: 9, 3 and 1 in the three rungs.
TEST_F(HalvingTest, WholeSweepTrainsAsManyAsSuccessiveHalving) {
    for (const bool best_first : {true, false}) {
        halving_ = Halving(asha_brackets(9, 1, 9, 3), 3, SweepGoal::max);
        std::map<std::int64_t, int> trained;
        std::uint64_t best = 99;
        while (!halving_.is_done()) {
            const HalvingWork work = given();
            ++trained[work.steps];
            if (work.steps == 9) best = work.configuration;
            const double quality = static_cast<double>(work.configuration);
            halving_.observe(work, best_first ? -quality : quality);
        }
        EXPECT_EQ(trained[1], 9);
        EXPECT_GE(trained[3], 3);
        EXPECT_GE(trained[9], 1);
        EXPECT_EQ(best, best_first ? 0U : 8U);
    }
}

TEST_F(HalvingTest, WaitsWhileWhatIsLeftDependsOnWhatIsBeingTrained) {
    std::vector<HalvingWork> all;
    for (int i = 0; i < 9; ++i) all.push_back(given());
    EXPECT_EQ(halving_.next(), std::nullopt);
    EXPECT_FALSE(halving_.is_done());
    for (const HalvingWork& work : all) halving_.observe(work, 1.0);
    EXPECT_NE(halving_.next(), std::nullopt);
}

TEST_F(HalvingTest, SameEventsGiveTheSameDecisions) {
    Halving again{asha_brackets(9, 1, 9, 3), 3, SweepGoal::max};
    while (!halving_.is_done()) {
        const HalvingWork work = given();
        EXPECT_EQ(again.next(), work);
        again.give(work);
        const double metric = static_cast<double>(work.configuration * 7 % 5);
        halving_.observe(work, metric);
        again.observe(work, metric);
    }
    EXPECT_TRUE(again.is_done());
}

TEST(Hyperband, BracketsAreGivenOutInOrderAndPromoteWithinThemselves) {
    Halving halving(hyperband_brackets(1, 9, 3), 3, SweepGoal::max);
    std::map<std::size_t, std::map<std::int64_t, int>> trained;
    while (!halving.is_done()) {
        const auto work = halving.next();
        ASSERT_TRUE(work);
        halving.give(*work);
        ++trained[work->bracket][work->steps];
        halving.observe(*work, static_cast<double>(work->configuration * 11 % 17));
    }
    EXPECT_EQ(trained[0][1], 9);
    EXPECT_EQ(trained[1][3], 5);
    EXPECT_EQ(trained[2][9], 3);
    EXPECT_GE(trained[0][9], 1);
}

}  // namespace
}  // namespace dln
