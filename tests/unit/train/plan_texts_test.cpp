#include "train/plan_texts.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(ShareOfNew, RepliesThatAreNoPromptsCountAgainstIt) {
    EXPECT_DOUBLE_EQ(share_of_new({1, 1, 1}, 4, 4), 0.75);
}

TEST(ShareOfNew, PromptThatCameTwiceIsRarelyTwiceInAStep) {
    // Two of four replies are drawn: the twins are both drawn in one of six cases.
    EXPECT_DOUBLE_EQ(share_of_new({2, 1, 1}, 4, 2), (2.0 - 1.0 / 6.0) / 2.0);
}

TEST(ShareOfNew, OnePromptForAllGivesOneCandidate) {
    EXPECT_DOUBLE_EQ(share_of_new({8}, 8, 4), 0.25);
}

TEST(ShareOfNew, IsNothingWithoutPrompts) { EXPECT_DOUBLE_EQ(share_of_new({}, 8, 4), 0.0); }

}  // namespace
}  // namespace dln
