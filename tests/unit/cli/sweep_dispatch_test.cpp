#include "cli/sweep_dispatch.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

using std::chrono::milliseconds;

const LookPace::Time kStart{std::chrono::seconds(1000)};

TEST(LookPace, LooksRarerTheLongerNothingHasCome) {
    LookPace pace(kStart);
    LookPace::Time now = kStart;
    for (const int wait : {5, 10, 20, 40, 80, 100, 100}) {
        EXPECT_FALSE(pace.is_due(now + milliseconds(wait - 1)));
        now += milliseconds(wait);
        EXPECT_TRUE(pace.is_due(now));
        pace.looked(false, now);
    }
}

TEST(LookPace, LooksOftenAgainWhenSomethingHasCome) {
    LookPace pace(kStart);
    for (int i = 0; i < 10; ++i) pace.looked(false, kStart);
    pace.looked(true, kStart);
    EXPECT_TRUE(pace.is_due(kStart + milliseconds(5)));
}

}  // namespace
}  // namespace dln
