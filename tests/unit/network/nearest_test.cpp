#include "dln/network/nearest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NearestLast, ChoosesTheNearestAndPutsTheNearestLast) {
    EXPECT_THAT(nearest_last({{0.1, 0}, {0.9, 1}, {-0.5, 2}, {0.4, 3}}, 2), ElementsAre(3, 1));
}

TEST(NearestLast, OfEquallyNearOnesTheLowerIndexIsNearer) {
    EXPECT_THAT(nearest_last({{0.5, 4}, {0.5, 1}, {0.5, 3}, {0.5, 2}}, 3), ElementsAre(3, 2, 1));
}

TEST(NearestLast, GivesAllWhereThereAreFewer) {
    EXPECT_THAT(nearest_last({{0.5, 4}, {0.7, 1}}, 3), ElementsAre(4, 1));
    EXPECT_THAT(nearest_last({}, 3), IsEmpty());
}

}  // namespace
}  // namespace dln
