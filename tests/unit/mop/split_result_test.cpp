// What losses of a split come to, against numbers worked out by hand.

#include "dln/mop/split_result.hpp"

#include <cmath>

#include <gmock/gmock.h>

#include "dln/comm/fixed_point.hpp"

namespace dln::mop {
namespace {

using ::testing::ElementsAre;

/// Three texts of task 0 and one of task 1; task 2 has none. Two experts.
class SplitResultTest : public ::testing::Test {
  protected:
    SplitResultTest() {
        losses_.losses = {{.nll = 2.0, .tokens = 2, .right = true},
                          {.nll = 1.0, .tokens = 1, .right = false},
                          {.nll = 3.0, .tokens = 1, .right = true},
                          {.nll = 6.0, .tokens = 3, .right = false}};
        losses_.gate = nn::Matrix(4, 2);
        losses_.gate.values = {0.75F, 0.25F, 0.25F, 0.75F, 1.0F, 0.0F, 0.5F, 0.5F};
    }
    SplitLosses losses_;
    std::vector<std::size_t> task_of_{0, 1, 0, 0};
};

TEST_F(SplitResultTest, SumsByTaskAndOverAll) {
    const SplitSums sums = sums_of(losses_, task_of_, 3);
    ASSERT_EQ(sums.tasks.size(), 3U);
    EXPECT_EQ(sums.tasks[0],
              (LossSum{.examples = 3, .tokens = 6, .right = 2, .nll = to_fixed_point(11.0)}));
    EXPECT_EQ(sums.tasks[1],
              (LossSum{.examples = 1, .tokens = 1, .right = 0, .nll = to_fixed_point(1.0)}));
    EXPECT_EQ(sums.tasks[2], LossSum{});
    EXPECT_EQ(sums.all(),
              (LossSum{.examples = 4, .tokens = 7, .right = 2, .nll = to_fixed_point(12.0)}));
    EXPECT_FALSE(sums.has_diverged);
}

TEST_F(SplitResultTest, PerplexityIsOfTokensAndAccuracyOfExamples) {
    const LossSum all = sums_of(losses_, task_of_, 3).all();
    EXPECT_DOUBLE_EQ(all.mean_nll(), 12.0 / 7.0);
    EXPECT_DOUBLE_EQ(all.perplexity(), std::exp(12.0 / 7.0));
    EXPECT_DOUBLE_EQ(all.accuracy(), 0.5);
    EXPECT_EQ(LossSum{}.perplexity(), 1.0);
    EXPECT_EQ(LossSum{}.accuracy(), 0.0);
}

TEST_F(SplitResultTest, LossThatIsNoNumberIsToldAndInNoSum) {
    losses_.losses[2].nll = std::nan("");
    const SplitSums sums = sums_of(losses_, task_of_, 2);
    EXPECT_TRUE(sums.has_diverged);
    EXPECT_EQ(sums.tasks[0],
              (LossSum{.examples = 2, .tokens = 5, .right = 1, .nll = to_fixed_point(8.0)}));
}

TEST_F(SplitResultTest, GateTableHasMeanWeightsAndCountsOfTheMostHeeded) {
    const GateTable table = gate_table(losses_, task_of_, 3);
    EXPECT_THAT(table.mean_weight,
                ElementsAre(ElementsAre(0.75, 0.25), ElementsAre(0.25, 0.75), ElementsAre(0, 0)));
    // Of equal weights the first counts.
    EXPECT_THAT(table.most_heeded,
                ElementsAre(ElementsAre(3, 0), ElementsAre(0, 1), ElementsAre(0, 0)));
}

TEST_F(SplitResultTest, IntervalOfATaskIsThatOfItsTextsAlone) {
    const Interval one = perplexity_interval(losses_, task_of_, 1, 5);
    EXPECT_DOUBLE_EQ(one.low, std::exp(1.0));  // one text: nothing varies
    EXPECT_DOUBLE_EQ(one.high, std::exp(1.0));
    const Interval all = perplexity_interval(losses_, task_of_, kAllTasks, 5);
    const double perplexity = sums_of(losses_, task_of_, 3).all().perplexity();
    EXPECT_LT(all.low, perplexity);
    EXPECT_GT(all.high, perplexity);
    EXPECT_GE(all.low, std::exp(1.0));  // no text has less a token
    EXPECT_LE(all.high, std::exp(3.0));
}

}  // namespace
}  // namespace dln::mop
