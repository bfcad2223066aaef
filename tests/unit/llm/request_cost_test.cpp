#include "dln/llm/request_cost.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace dln {
namespace {

// A context of 100 tokens, targets of 2 and 3.
RequestCost of(ScoreManner manner, double drawn = 0.0) {
    const std::vector<double> targets{2.0, 3.0};
    return cost_of_scores({.score = manner, .drawn_a_score = drawn}, 100.0, targets);
}

void expect(const RequestCost& cost, double requests, double input_tokens, double output_tokens) {
    EXPECT_DOUBLE_EQ(cost.requests, requests);
    EXPECT_DOUBLE_EQ(cost.input_tokens, input_tokens);
    EXPECT_DOUBLE_EQ(cost.output_tokens, output_tokens);
}

TEST(CostOfScores, ContextIsSentOnceForAnItem) { expect(of(ScoreManner::item), 1, 105, 0); }

TEST(CostOfScores, ContextIsRepeatedForEachTarget) {
    expect(of(ScoreManner::target, 1.0), 2, 205, 2);
}

TEST(CostOfScores, ContextAloneIsOneRequestMoreWithoutTokeniser) {
    expect(of(ScoreManner::target_and_context, 1.0), 3, 305, 3);
}

TEST(CostOfScores, ForcedTokensAreRequestsThatGrow) {
    // 100, 101 for the first target; 100, 101, 102 for the second.
    expect(of(ScoreManner::token, 1.0), 5, 504, 5);
}

TEST(CostOfScores, NothingIsAskedOfABackendWithoutScores) {
    expect(of(ScoreManner::none), 0, 0, 0);
}

}  // namespace
}  // namespace dln
