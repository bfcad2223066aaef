#include "train/plan_assembly.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(ShareOfRight, IsAnywhereFromChanceToAllBeforeAnyAnswerWasSeen) {
    EXPECT_NEAR(share_of_right(0.5, 0.0, 0, 0.0), 0.5, 0.01);
    EXPECT_NEAR(share_of_right(0.5, 0.0, 0, 0.5), 0.75, 0.01);
    EXPECT_NEAR(share_of_right(0.5, 0.0, 0, 0.999), 1.0, 0.01);
}

TEST(ShareOfRight, LiesAroundWhatWasSeen) {
    // A beta distribution: mean 91 / 102, standard deviation 0.03.
    EXPECT_NEAR(share_of_right(0.0, 90.0, 100, 0.5), 0.89, 0.01);
    EXPECT_NEAR(share_of_right(0.0, 90.0, 100, 0.16), 0.86, 0.01);
    EXPECT_NEAR(share_of_right(0.0, 90.0, 100, 0.84), 0.92, 0.01);
}

TEST(ShareOfRight, IsNotBelowChance) { EXPECT_GE(share_of_right(0.5, 10.0, 40, 0.001), 0.5); }

}  // namespace
}  // namespace dln
