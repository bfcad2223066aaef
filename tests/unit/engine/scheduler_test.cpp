#include "dln/engine/scheduler.hpp"

#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;

/// Adds units first ... first+count-1.
void add(Scheduler& scheduler, std::uint64_t first, int count, std::uint64_t affinity) {
    for (int i = 0; i < count; ++i) {
        scheduler.add(first + static_cast<std::uint64_t>(i), affinity);
    }
}

/// The next unit of `rank`, which finishes it at once.
std::uint64_t take(Scheduler& scheduler, int rank) {
    const auto unit = scheduler.next_for(rank);
    EXPECT_TRUE(unit.has_value()) << "nothing for rank " << rank;
    if (!unit) return 0;
    scheduler.finished(rank);
    return *unit;
}

TEST(Scheduler, RankKeepsToItsAffinity) {
    Scheduler scheduler(2, 4);
    scheduler.add(1, 10);
    scheduler.add(2, 20);
    scheduler.add(3, 10);
    scheduler.add(4, 20);
    EXPECT_EQ(take(scheduler, 0), 1U);
    EXPECT_EQ(take(scheduler, 1), 2U);
    EXPECT_EQ(take(scheduler, 1), 4U);
    EXPECT_EQ(take(scheduler, 0), 3U);
}

TEST(Scheduler, RankTakesAnAffinityThatNobodyWorksOn) {
    Scheduler scheduler(2, 4);
    add(scheduler, 100, 9, 10);
    scheduler.add(200, 20);
    EXPECT_EQ(take(scheduler, 0), 100U);
    EXPECT_EQ(take(scheduler, 1), 200U);
}

TEST(Scheduler, OldestIsFirstAmongAffinitiesThatNobodyWorksOn) {
    Scheduler scheduler(3, 4);
    scheduler.add(1, 99);
    add(scheduler, 10, 3, 5);
    scheduler.add(2, 7);
    EXPECT_EQ(take(scheduler, 0), 1U);
    EXPECT_EQ(take(scheduler, 1), 10U);
    EXPECT_EQ(take(scheduler, 2), 2U);
}

TEST(Scheduler, UnitsThatCanWaitAreGivenOutLast) {
    Scheduler scheduler(1, 8);
    scheduler.add(1, 10, true);
    scheduler.add(2, 10);
    scheduler.add(3, 20);
    scheduler.add(4, 10, true);
    EXPECT_EQ(take(scheduler, 0), 2U);
    EXPECT_EQ(take(scheduler, 0), 3U) << "although 1 has the affinity that the rank has";
    EXPECT_EQ(take(scheduler, 0), 1U);
    scheduler.add(5, 30);
    EXPECT_EQ(take(scheduler, 0), 5U);
    EXPECT_EQ(take(scheduler, 0), 4U);
}

TEST(Scheduler, RankThatMustShareTakesFromTheLargestRemainder) {
    Scheduler scheduler(3, 1);
    add(scheduler, 100, 3, 10);
    add(scheduler, 200, 7, 20);
    EXPECT_EQ(take(scheduler, 0), 100U);
    EXPECT_EQ(take(scheduler, 1), 200U);
    EXPECT_EQ(take(scheduler, 2), 201U);
}

TEST(Scheduler, RankReturnsToItsAffinityWhenThereIsMoreOfIt) {
    Scheduler scheduler(1, 1);
    scheduler.add(1, 10);
    EXPECT_EQ(take(scheduler, 0), 1U);
    scheduler.add(2, 20);
    scheduler.add(3, 10);
    EXPECT_EQ(take(scheduler, 0), 3U);
    EXPECT_EQ(take(scheduler, 0), 2U);
}

TEST(Scheduler, AffinityThatARankHasLeftCountsAsUnused) {
    Scheduler scheduler(2, 1);
    scheduler.add(1, 10);
    EXPECT_EQ(take(scheduler, 0), 1U);
    scheduler.add(2, 20);
    EXPECT_EQ(take(scheduler, 0), 2U);  // leaves 10
    add(scheduler, 100, 5, 20);
    scheduler.add(3, 10);
    EXPECT_EQ(take(scheduler, 1), 3U);
}

TEST(Scheduler, RankHoldsNoMoreThanTheWindow) {
    Scheduler scheduler(2, 3);
    add(scheduler, 0, 20, 10);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_FALSE(scheduler.next_for(0).has_value());
    EXPECT_EQ(scheduler.held_by(0), 3U);
    scheduler.finished(0);
    EXPECT_TRUE(scheduler.next_for(0).has_value());
}

TEST(Scheduler, RankHoldsOneNearTheEndOfTheWork) {
    Scheduler scheduler(2, 3);
    add(scheduler, 0, 2, 10);
    EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_FALSE(scheduler.next_for(0).has_value());
    EXPECT_TRUE(scheduler.next_for(1).has_value());
    EXPECT_FALSE(scheduler.has_ready());
}

TEST(Scheduler, RankThatHoldsFewestIsNextNearTheEndOfTheWork) {
    Scheduler scheduler(2, 6);
    add(scheduler, 0, 6, 10);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_TRUE(scheduler.next_for(1).has_value());
    EXPECT_FALSE(scheduler.next_for(0).has_value());
    EXPECT_TRUE(scheduler.next_for(1).has_value());
    EXPECT_TRUE(scheduler.next_for(1).has_value());
    EXPECT_FALSE(scheduler.has_ready());
}

TEST(Scheduler, WiderWindowLetsARankHoldMore) {
    Scheduler scheduler(1, 1);
    add(scheduler, 0, 9, 10);
    EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_FALSE(scheduler.next_for(0).has_value());
    scheduler.set_window(3);
    EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_TRUE(scheduler.next_for(0).has_value());
    EXPECT_FALSE(scheduler.next_for(0).has_value());
}

TEST(Scheduler, NothingIsReadyNothingIsGiven) {
    Scheduler scheduler(1, 3);
    EXPECT_FALSE(scheduler.next_for(0).has_value());
    EXPECT_THROW(scheduler.finished(0), InternalError);
}

TEST(Scheduler, AnyScheduleGivesEveryUnitOnceAndLeavesNoRankIdle) {
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&random](unsigned bound) { return random() % bound; };
        const int ranks = 1 + static_cast<int>(below(5));
        const std::size_t window = 1 + below(4);
        Scheduler scheduler(ranks, window);
        std::multiset<std::uint64_t> given;
        std::uint64_t added = 0;
        const std::uint64_t whole = below(60);
        while (given.size() < whole) {
            const int rank = static_cast<int>(below(static_cast<unsigned>(ranks)));
            const std::size_t held = scheduler.held_by(rank);
            if (added < whole && below(3) == 0) {
                scheduler.add(added++, below(4));
            } else if (held > 0 && below(2) == 0) {
                scheduler.finished(rank);
            } else if (const auto unit = scheduler.next_for(rank)) {
                given.insert(*unit);
                ASSERT_LE(scheduler.held_by(rank), window) << "seed " << seed;
            } else {
                ASSERT_TRUE(held > 0 || !scheduler.has_ready()) << "seed " << seed;
            }
        }
        for (std::uint64_t unit = 0; unit < whole; ++unit) ASSERT_EQ(given.count(unit), 1U);
        ASSERT_FALSE(scheduler.has_ready());
    }
}

}  // namespace
}  // namespace dln
