#include "dln/llm/logits.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(LogSumExp, SubtractsTheMaximumSoThatLargeLogitsDoNotOverflow) {
    EXPECT_NEAR(log_sum_exp(std::vector<float>{1000.0F, 1000.0F}), 1000.0 + std::log(2.0), 1e-9);
    EXPECT_NEAR(log_sum_exp(std::vector<float>{-1000.0F, -1001.0F}),
                -1000.0 + std::log1p(std::exp(-1.0)), 1e-6);
}

TEST(LogSumExp, NotANumberIsNotHidden) {
    EXPECT_TRUE(std::isnan(log_sum_exp(std::vector<float>{1.0F, std::nanf(""), 2.0F})));
    EXPECT_TRUE(
        std::isnan(log_sum_exp(std::vector<float>{std::numeric_limits<float>::infinity(), 2.0F})));
}

TEST(SampleToken, TemperatureZeroTakesTheBestAndTheFirstAmongEquals) {
    EXPECT_EQ(sample_token(std::vector<float>{1.0F, 3.0F, 3.0F}, 0.0, 1.0, 0.99), 1);
}

TEST(SampleToken, FollowsTheCumulatedDistribution) {
    const std::vector<float> logits{0.0F, std::log(3.0F)};  // probabilities 1/4 and 3/4
    EXPECT_EQ(sample_token(logits, 1.0, 1.0, 0.24), 0);
    EXPECT_EQ(sample_token(logits, 1.0, 1.0, 0.26), 1);
}

TEST(SampleToken, HighTemperatureFlattens) {
    const std::vector<float> logits{0.0F, 10.0F};
    EXPECT_EQ(sample_token(logits, 1.0, 1.0, 0.4), 1);
    EXPECT_EQ(sample_token(logits, 1000.0, 1.0, 0.4), 0);
}

TEST(SampleToken, TopPLeavesTheTailOut) {
    const std::vector<float> logits{std::log(0.1F), std::log(0.6F), std::log(0.3F)};
    for (const double uniform : {0.0, 0.3, 0.65, 0.999}) {
        EXPECT_NE(sample_token(logits, 1.0, 0.85, uniform), 0) << uniform;
    }
}

}  // namespace
}  // namespace dln
