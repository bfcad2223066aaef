// Limits and the breaker, with a clock that the tests move.

#include "llm/http/limits.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>

#include <gtest/gtest.h>

#include "llm/http/endpoint.hpp"

namespace dln::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Time kStart{seconds(1000)};

TEST(ShareOf, AddsUpToTheLimitExactlyAndIsEven) {
    for (const std::int64_t limit : {0, 1, 5, 63, 64, 65, 1000}) {
        for (const int ranks : {1, 2, 3, 7, 64}) {
            std::int64_t sum = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                const auto share = share_of(limit, rank, ranks);
                EXPECT_TRUE(share == limit / ranks || share == limit / ranks + 1);
                sum += share;
            }
            EXPECT_EQ(sum, limit) << ranks;
        }
    }
}

/// Calls of one round, all sent together and answered after `latency`.
class LimitFixture : public ::testing::Test {
  protected:
    void round(milliseconds latency) {
        const auto sent = now_;
        const auto count = limit_.limit();
        now_ += latency;
        for (std::size_t i = 0; i < count; ++i) {
            limit_.on_reply(sent, now_, count - i);
        }
    }
    InFlightLimit limit_{InFlightOptions{.most = 16}};
    Time now_ = kStart;
};

TEST_F(LimitFixture, BeginsWithWhatTheUserSet) { EXPECT_EQ(limit_.limit(), 16U); }

TEST_F(LimitFixture, HalvesOnOverloadAndRegainsOneAWindow) {
    limit_.on_overload(now_, now_);
    EXPECT_EQ(limit_.limit(), 8U);
    for (std::size_t expected = 9; expected <= 12; ++expected) {
        round(milliseconds(10));
        EXPECT_EQ(limit_.limit(), expected);
    }
}

TEST_F(LimitFixture, NeverExceedsTheMostNorFallsBelowOne) {
    round(milliseconds(10));
    EXPECT_EQ(limit_.limit(), 16U);
    for (int i = 0; i < 10; ++i) {
        now_ += milliseconds(1);
        limit_.on_overload(now_, now_);
    }
    EXPECT_EQ(limit_.limit(), 1U);
}

TEST_F(LimitFixture, CountsAStormOfRefusalsOnce) {
    const auto sent = now_;
    for (int i = 0; i < 16; ++i) {
        now_ += milliseconds(1);
        limit_.on_overload(sent, now_);
    }
    EXPECT_EQ(limit_.limit(), 8U);
    EXPECT_EQ(limit_.decreases(), 1);
}

TEST_F(LimitFixture, FallsWhenEvenTheQuickestReplyHasBecomeSlow) {
    round(milliseconds(10));
    round(milliseconds(39));
    EXPECT_EQ(limit_.limit(), 16U);
    round(milliseconds(60));
    EXPECT_EQ(limit_.limit(), 12U);
}

TEST_F(LimitFixture, DoesNotFallForLongCallsAmongShortOnes) {
    round(milliseconds(10));
    for (int i = 0; i < 16; ++i) {
        limit_.on_reply(now_, now_ + milliseconds(i == 7 ? 12 : 900), 16);
    }
    EXPECT_EQ(limit_.limit(), 16U);
}

TEST_F(LimitFixture, GetsUsedToAServerThatStaysSlow) {
    round(milliseconds(10));
    for (int i = 0; i < 200; ++i) {
        round(milliseconds(60));
    }
    EXPECT_EQ(limit_.limit(), 16U);
}

TEST_F(LimitFixture, DoesNotGrowWhenItIsNotReached) {
    limit_.on_overload(now_, now_);
    for (int i = 0; i < 100; ++i) {
        limit_.on_reply(now_, now_ + milliseconds(10), 2);
    }
    EXPECT_EQ(limit_.limit(), 8U);
}

TEST(TokenBucket, LetsTenSecondsPassAtOnceAndThenTheRate) {
    TokenBucket bucket(60'000);  // 60 a minute
    Time now = kStart;
    for (int i = 0; i < 10; ++i) {
        ASSERT_LE(bucket.ready_at(1, now), now) << i;
        bucket.take(1, now);
    }
    EXPECT_EQ(bucket.ready_at(1, now), now + seconds(1));
    now += milliseconds(500);
    EXPECT_EQ(bucket.ready_at(1, now), now + milliseconds(500));
    now += milliseconds(500);
    EXPECT_LE(bucket.ready_at(1, now), now);
}

TEST(TokenBucket, KeepsTheRateOverAMinuteHoweverItIsAsked) {
    TokenBucket bucket(600'000);
    Time now = kStart;
    int taken = 0;
    while (now < kStart + seconds(60)) {
        if (bucket.ready_at(7, now) <= now) {
            bucket.take(7, now);
            taken += 7;
        }
        now += milliseconds(3);
    }
    EXPECT_NEAR(taken, 600 + 100, 8);
}

TEST(TokenBucket, LetsALargeCallGoOnDebt) {
    TokenBucket bucket(60'000);
    ASSERT_LE(bucket.ready_at(40, kStart), kStart);
    bucket.take(40, kStart);
    EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(31));
}

TEST(TokenBucket, GivesBackWhatWasEstimatedTooHigh) {
    TokenBucket bucket(60'000);
    bucket.take(40, kStart);
    bucket.correct(40, 15, kStart);
    EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(6));
    bucket.correct(15, 20, kStart);
    EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(11));
}

TEST(TokenBucket, SavesNoMoreThanItCanWhateverIsGivenBack) {
    TokenBucket bucket(60'000);
    bucket.take(5, kStart);
    bucket.correct(1000, 0, kStart);
    EXPECT_LE(bucket.ready_at(10, kStart), kStart);
    bucket.take(10, kStart);
    EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(1));
}

TEST(TokenBucket, SavesOneUnitHoweverSmallTheRate) {
    TokenBucket bucket(500);  // one in two minutes
    EXPECT_LE(bucket.ready_at(1, kStart), kStart);
    bucket.take(1, kStart);
    EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(120));
}

TEST(TokenBucket, WithoutALimitIsAlwaysReady) {
    TokenBucket bucket;
    for (int i = 0; i < 1000; ++i) {
        ASSERT_LE(bucket.ready_at(1e9, kStart), kStart);
        bucket.take(1e9, kStart);
    }
}

class Breaker : public ::testing::Test {
  protected:
    using State = CircuitBreaker::State;
    void fail(int times) {
        for (int i = 0; i < times; ++i) {
            breaker_.on_failure(breaker_.on_send(now_), false, now_);
        }
    }
    CircuitBreaker breaker_{BreakerOptions{
        .failures_to_open = 3, .first_cool_down = seconds(1), .longest_cool_down = seconds(4)}};
    Time now_ = kStart;
};

TEST_F(Breaker, OpensAfterFailuresInARow) {
    fail(2);
    breaker_.on_success(breaker_.on_send(now_));
    fail(2);
    EXPECT_EQ(breaker_.state(now_), State::closed);
    fail(1);
    EXPECT_EQ(breaker_.state(now_), State::open);
    EXPECT_EQ(breaker_.ready_at(now_), now_ + seconds(1));
}

TEST_F(Breaker, OpensAtOnceWithoutAConnection) {
    breaker_.on_failure(breaker_.on_send(now_), true, now_);
    EXPECT_EQ(breaker_.state(now_), State::open);
}

TEST_F(Breaker, LetsOneTrialThroughAfterTheCoolDown) {
    fail(3);
    now_ += seconds(1);
    EXPECT_EQ(breaker_.state(now_), State::half_open);
    EXPECT_TRUE(breaker_.on_send(now_));
    EXPECT_EQ(breaker_.ready_at(now_), Time::max());
    breaker_.on_success(true);
    EXPECT_EQ(breaker_.state(now_), State::closed);
    EXPECT_FALSE(breaker_.on_send(now_));
}

TEST_F(Breaker, CoolsDownTwiceAsLongAfterEachFailedTrial) {
    fail(3);
    for (const int cool_down : {1, 2, 4, 4}) {
        EXPECT_EQ(breaker_.ready_at(now_), now_ + seconds(cool_down));
        now_ += seconds(cool_down);
        fail(1);
    }
    now_ += seconds(4);
    breaker_.on_success(breaker_.on_send(now_));
    fail(3);
    EXPECT_EQ(breaker_.ready_at(now_), now_ + seconds(1));
}

TEST_F(Breaker, IgnoresLateFailuresOfCallsSentBefore) {
    fail(3);
    now_ += milliseconds(900);
    breaker_.on_failure(false, false, now_);
    EXPECT_EQ(breaker_.ready_at(now_), now_ + milliseconds(100));
}

TEST_F(Breaker, LetsAnotherTrialThroughWhenOneWasCancelled) {
    fail(3);
    now_ += seconds(1);
    breaker_.on_no_answer(breaker_.on_send(now_));
    EXPECT_LE(breaker_.ready_at(now_), now_);
}

TEST(InFlightLimit, WidelySpreadLatenciesAreNotTakenForLoad) {
    InFlightLimit limit({.most = 16});
    Time now = kStart;
    std::uint64_t state = 1;
    for (int i = 0; i < 16 * 2000; ++i) {
        // Log-normal with sigma 1, near enough: a sum of twelve uniform numbers is nearly normal.
        double normal = -6.0;
        for (int k = 0; k < 12; ++k) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            normal += static_cast<double>(state >> 11U) / 9007199254740992.0;
        }
        const auto latency = std::chrono::duration_cast<Duration>(
            std::chrono::duration<double>(0.02 * std::exp(normal)));
        now += milliseconds(1);
        limit.on_reply(now, now + latency, 16);
    }
    EXPECT_LE(limit.decreases(), 20);  // in 2,000 windows
}

// --- look-ups beside work

class LookUps : public ::testing::Test {
  protected:
    Endpoint endpoint_{"http://h", {.in_flight = {.most = 2}}, {}};
    const CallCost work_{};
    const CallCost look_up_{.requests = 0};
    const Time now_{};
    void reply(const CallCost& cost, std::chrono::milliseconds latency) {
        const bool trial = endpoint_.on_send(cost, now_);
        endpoint_.on_end(cost, {.outcome = Outcome::ok}, TransportFault::none, 200, trial, false,
                         now_, now_ + latency);
    }
};

TEST_F(LookUps, DoNotTakeThePlacesOfWork) {
    static_cast<void>(endpoint_.on_send(work_, now_));
    static_cast<void>(endpoint_.on_send(work_, now_));
    EXPECT_EQ(endpoint_.ready_at(work_, now_), Time::max());
    EXPECT_EQ(endpoint_.ready_at(look_up_, now_), now_);
    static_cast<void>(endpoint_.on_send(look_up_, now_));
    static_cast<void>(endpoint_.on_send(look_up_, now_));
    EXPECT_EQ(endpoint_.ready_at(look_up_, now_), Time::max());
    endpoint_.on_cancel(look_up_, false);
    EXPECT_EQ(endpoint_.ready_at(look_up_, now_), now_);
    EXPECT_EQ(endpoint_.ready_at(work_, now_), Time::max());
}

TEST_F(LookUps, QuickOnesDoNotMakeWorkLookSlow) {
    for (int i = 0; i < 50; ++i) {
        reply(look_up_, std::chrono::milliseconds(1));
        reply(work_, std::chrono::milliseconds(100));
    }
    EXPECT_EQ(endpoint_.limit_decreases(), 0);
}

}  // namespace
}  // namespace dln::http
