// Latency, limits and the account of busy slots, with a clock that the test moves.

#include "load.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "stats.hpp"

namespace fake_llm {
namespace {

double ms(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

TEST(FakeLatency, AddsUpFixedTimeAndTimeOfPrompts) {
    EXPECT_DOUBLE_EQ(ms(service_time({.fixed_ms = 20, .per_prompt_ms = 3}, 1, 4)), 32.0);
}

TEST(FakeLatency, IsDrawnByTheRequestAroundItsMedian) {
    const LatencyOptions options{.median_ms = 40, .sigma = 0.5};
    std::vector<double> times;
    for (std::uint64_t request = 0; request < 2001; ++request) {
        times.push_back(ms(service_time(options, request, 1)));
    }
    EXPECT_EQ(times[5], ms(service_time(options, 5, 1)));
    std::nth_element(times.begin(), times.begin() + 1000, times.end());
    EXPECT_NEAR(times[1000], 40.0, 2.0);
    EXPECT_GT(*std::max_element(times.begin(), times.end()), 120.0);
}

TEST(FakeLimits, RefuseUntilTheBucketHasFilled) {
    RateLimits limits({.requests_per_second = 2});
    EXPECT_FALSE(limits.refuse(1, 0.0));
    EXPECT_FALSE(limits.refuse(1, 0.0));
    EXPECT_DOUBLE_EQ(limits.refuse(1, 0.0).value(), 0.5);
    EXPECT_FALSE(limits.refuse(1, 0.5));
    EXPECT_TRUE(limits.refuse(1, 0.5));
}

TEST(FakeLimits, CountTokensAndTakeNothingWhenTheyRefuse) {
    RateLimits limits({.requests_per_minute = 2, .tokens_per_minute = 100});
    EXPECT_FALSE(limits.refuse(80, 0.0));
    EXPECT_DOUBLE_EQ(limits.refuse(80, 0.0).value(), 36.0);
    EXPECT_FALSE(limits.refuse(20, 0.0));
}

TEST(FakeLimits, AreOffByDefault) {
    RateLimits limits({});
    for (int i = 0; i < 1000; ++i) {
        EXPECT_FALSE(limits.refuse(1000, 0.0));
    }
}

TEST(FakeStats, TellTheShareOfBusySlotsWhileWorkIsLeft) {
    Stats stats(4);
    stats.arrived(1, false, 10.0);
    stats.set_busy(2, 10.0);
    stats.arrived(2, false, 20.0);
    stats.departed(200, 20.0);
    stats.set_busy(1, 20.0);
    stats.set_busy(0, 40.0);
    stats.departed(200, 40.0);
    const nlohmann::json report = stats.report(100.0);
    EXPECT_EQ(report["busy_slot_seconds"], 40.0);
    EXPECT_EQ(report["busy_slot_seconds_until_last_arrival"], 20.0);
    EXPECT_EQ(report["busy_share_until_last_arrival"], 0.5);
    EXPECT_DOUBLE_EQ(report["busy_share_until_last_departure"], 40.0 / 120.0);
}

TEST(FakeStats, CountRepetitions) {
    Stats stats(0);
    stats.arrived(7, false, 1.0);
    stats.arrived(7, true, 2.0);
    stats.accepted({1, 2, 1}, 30, 3);
    const nlohmann::json report = stats.report(3.0);
    EXPECT_EQ(report["repeated_requests"], 1);
    EXPECT_EQ(report["repeated_prompts"], 1);
    EXPECT_EQ(report["requests_with_authorization"], 1);
    EXPECT_EQ(report["max_in_flight"], 2);
}

TEST(FakeStats, KeepWhatIsUnderWayOverAReset) {
    Stats stats(2);
    stats.connected();
    stats.arrived(7, false, 1.0);
    stats.set_busy(1, 1.0);
    stats.reset(5.0);
    stats.set_busy(0, 6.0);
    stats.departed(200, 6.0);
    const nlohmann::json report = stats.report(7.0);
    EXPECT_EQ(report["requests"], 0);
    EXPECT_EQ(report["in_flight"], 0);
    EXPECT_EQ(report["connections_open"], 1);
    EXPECT_EQ(report["busy_slot_seconds"], 1.0);
}

}  // namespace
}  // namespace fake_llm
