// What replies mean and how long calls wait. No sockets, no clock.

#include "llm/http/retry.hpp"

#include <chrono>
#include <set>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// 1994-11-06 08:49:37 GMT, the date of HTTP's own examples.
const system_clock::time_point kThen{seconds(784111777)};

Assessment on_status(int status,
                     const std::string& body = "",
                     const std::string& retry_after = "") {
    return assess({.status = status, .body = body, .retry_after = retry_after}, {}, kThen);
}

Outcome outcome(int status, const std::string& body = "") {
    return on_status(status, body).outcome;
}

Outcome outcome(TransportFault fault) {
    return assess({.fault = fault, .reason = "why"}, {}, kThen).outcome;
}

TEST(Assess, TriesAgainWhatMayGoBetter) {
    for (const int status : {408, 409, 424, 425, 500, 501, 504, 599, 204}) {
        EXPECT_EQ(outcome(status), Outcome::retry) << status;
    }
    for (const int status : {429, 502, 503, 529}) {
        EXPECT_EQ(outcome(status), Outcome::busy) << status;
    }
    for (const auto fault :
         {TransportFault::deadline, TransportFault::stall, TransportFault::reset,
          TransportFault::torn, TransportFault::too_large, TransportFault::protocol}) {
        EXPECT_EQ(outcome(fault), Outcome::retry) << name_of(fault);
    }
    for (const auto fault :
         {TransportFault::resolve, TransportFault::connect, TransportFault::tls}) {
        EXPECT_EQ(outcome(fault), Outcome::busy) << name_of(fault);
    }
}

TEST(Assess, FailsTheItemWhenTheCallIsAtFault) {
    for (const int status : {400, 405, 413, 422}) {
        EXPECT_EQ(outcome(status, "context too long"), Outcome::fail_item) << status;
    }
}

TEST(Assess, RefusesTheEndpointWhenAnotherCallWouldMeetTheSame) {
    EXPECT_EQ(outcome(401), Outcome::unauthorised);
    EXPECT_EQ(outcome(403), Outcome::unauthorised);
    EXPECT_EQ(outcome(404), Outcome::no_such_model);
    EXPECT_EQ(outcome(402), Outcome::quota);
    EXPECT_EQ(outcome(429, R"({"error":{"code":"insufficient_quota"}})"), Outcome::quota);
    EXPECT_EQ(outcome(302), Outcome::misdirected);
    EXPECT_EQ(outcome(TransportFault::certificate), Outcome::misdirected);
    for (const auto refusing : {Outcome::quota, Outcome::unauthorised, Outcome::no_such_model,
                                Outcome::misdirected, Outcome::long_wait}) {
        EXPECT_TRUE(refuses_endpoint(refusing));
    }
    for (const auto other : {Outcome::ok, Outcome::retry, Outcome::busy, Outcome::fail_item}) {
        EXPECT_FALSE(refuses_endpoint(other));
    }
}

TEST(Assess, SaysWhatTheServerSaidInOnePrintableLine) {
    const auto said = on_status(500, "line\n\x1b[31mred" + std::string(10'000, 'x')).reason;
    EXPECT_THAT(said, AllOf(HasSubstr("HTTP status 500: line"), Not(HasSubstr("\n")),
                            Not(HasSubstr("\x1b"))));
    EXPECT_LT(said.size(), 400U);
}

TEST(Assess, BoundsRetryAfterByAClearError) {
    EXPECT_EQ(on_status(429, "", "7").retry_after, seconds(7));
    EXPECT_EQ(on_status(503, "", "300").outcome, Outcome::busy);
    const auto long_wait = on_status(429, "", "86400");
    EXPECT_EQ(long_wait.outcome, Outcome::long_wait);
    EXPECT_THAT(long_wait.reason, HasSubstr("Retry-After is 86400 s, more than the 300 s"));
}

TEST(RetryAfter, IsSecondsOrADateInAnyOfThreeForms) {
    const auto now = kThen - seconds(90);
    EXPECT_EQ(parse_retry_after("120", now), seconds(120));
    EXPECT_EQ(parse_retry_after(" 0 ", now), seconds(0));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), seconds(90));
    EXPECT_EQ(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), seconds(90));
    EXPECT_EQ(parse_retry_after("Sun Nov  6 08:49:37 1994", now), seconds(90));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + milliseconds(500)),
              seconds(90));
}

TEST(RetryAfter, IsZeroForThePastAndAYearAtMost) {
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", kThen + seconds(5)), seconds(0));
    EXPECT_EQ(parse_retry_after("99999999999999999999999999", kThen), seconds(366 * 86400));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 9994 08:49:37 GMT", kThen), seconds(366 * 86400));
}

TEST(RetryAfter, IsNothingWhenItIsNeither) {
    for (const auto* value : {"", "soon", "-5", "1.5", "Sun, 31 Feb 1994 08:49:37 GMT",
                              "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"}) {
        EXPECT_EQ(parse_retry_after(value, kThen), std::nullopt) << value;
    }
}

RandomKey key(std::uint64_t call) {
    return {.seed = 7, .step = call, .role = RandomRole::retry_delay};
}

TEST(NextDelay, DoublesItsBoundUpToTheLongestWithFullJitter) {
    const RetryPolicy policy{.most_attempts = 100,
                             .first_delay = milliseconds(100),
                             .longest_retry_delay = milliseconds(1000)};
    for (const auto& [attempts, bound] :
         {std::pair(1, 100), {2, 200}, {4, 800}, {5, 1000}, {99, 1000}}) {
        milliseconds least = milliseconds::max();
        milliseconds most{0};
        for (std::uint64_t call = 0; call < 1000; ++call) {
            const auto delay = *next_delay(policy, {.attempts = attempts}, {}, key(call));
            least = std::min(least, delay);
            most = std::max(most, delay);
        }
        EXPECT_LT(least.count(), bound / 20 + 1) << attempts;
        EXPECT_LE(most.count(), bound) << attempts;
        EXPECT_GT(most.count(), bound * 9 / 10) << attempts;
    }
}

TEST(NextDelay, IsLongerForABusyServerThanForAReplyThatWentWrong) {
    const RetryPolicy policy{.most_attempts = 100,
                             .first_delay = milliseconds(100),
                             .longest_delay = milliseconds(100'000),
                             .longest_retry_delay = milliseconds(1000)};
    const Tries wrong{.attempts = 8, .busy = 8};
    const Tries busy{.attempts = 8, .busy = 8, .last_was_busy = true};
    for (std::uint64_t call = 0; call < 100; ++call) {
        EXPECT_LE(*next_delay(policy, wrong, {}, key(call)), milliseconds(1000));
    }
    EXPECT_GT(*next_delay(policy, busy, {}, key(1)), milliseconds(1000));
}

TEST(NextDelay, IsAFunctionOfItsKey) {
    std::set<std::int64_t> delays;
    for (std::uint64_t call = 0; call < 20; ++call) {
        const auto delay = next_delay({}, {.attempts = 4}, {}, key(call));
        EXPECT_EQ(delay, next_delay({}, {.attempts = 4}, {}, key(call)));
        delays.insert(delay->count());
    }
    EXPECT_GT(delays.size(), 15U);
}

TEST(NextDelay, IsNeverShorterThanRetryAfter) {
    for (std::uint64_t call = 0; call < 100; ++call) {
        EXPECT_GE(*next_delay({}, {.busy = 1}, seconds(20), key(call)), seconds(20));
    }
}

TEST(NextDelay, EndsWithTheAttemptsOrTheTime) {
    const RetryPolicy policy{.most_attempts = 3, .most_busy_attempts = 10, .total = seconds(60)};
    EXPECT_TRUE(next_delay(policy, {.attempts = 2, .busy = 9}, {}, key(0)));
    EXPECT_FALSE(next_delay(policy, {.attempts = 3}, {}, key(0)));
    EXPECT_FALSE(next_delay(policy, {.busy = 10}, {}, key(0)));
    EXPECT_FALSE(next_delay(policy, {.attempts = 1, .since_first = seconds(61)}, {}, key(0)));
    EXPECT_FALSE(
        next_delay(policy, {.attempts = 1, .since_first = seconds(30)}, seconds(31), key(0)));
}

}  // namespace
}  // namespace dln::http
