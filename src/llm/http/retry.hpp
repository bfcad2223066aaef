#pragma once
// What a reply means for the call that it answers, and when the call is tried again. Pure: the clock is
// passed in, and chance comes from a counter-based generator, so the same key gives the same waits.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dln/random/counter_rng.hpp"

#include "llm/http/transport.hpp"

namespace dln::http {

/// The class of an outcome. The order is that of counters.
enum class Outcome {
    ok,         ///< status 200: the body is for the dialect
    retry,      ///< this call went wrong: 5xx, timeout, torn, malformed
    busy,       ///< the server takes no calls now: 429, 503, no connection. Counts less than retry
    fail_item,  ///< the server will never answer this call: 400, 413, 422 and other 4xx
    quota,      ///< the account is used up
    unauthorised,   ///< 401, 403
    no_such_model,  ///< 404
    misdirected,    ///< a redirect, or a server that is not who it should be
    long_wait,      ///< it asks for more patience than is allowed
};
inline constexpr std::size_t kOutcomes = 9;
[[nodiscard]] std::string_view name_of(Outcome outcome);
/// True for outcomes that another call to the same endpoint would meet too.
[[nodiscard]] bool refuses_endpoint(Outcome outcome);
/// What a user can do about such an outcome, as a sentence; empty for the others.
[[nodiscard]] std::string_view advice_for(Outcome outcome);

struct RetryPolicy {
    int most_attempts = 10;       ///< outcomes `retry` of one call
    int most_busy_attempts = 60;  ///< outcomes `busy` of one call
    std::chrono::milliseconds first_delay{500};
    std::chrono::milliseconds longest_delay{30'000};  ///< while the server is busy
    /// After outcome `retry`: the server takes calls, so waiting for long gains nothing.
    std::chrono::milliseconds longest_retry_delay{5'000};
    std::chrono::milliseconds longest_retry_after{300'000};  ///< more than that is `long_wait`
    std::chrono::milliseconds total{1'200'000};              ///< from the first attempt on
};

struct Assessment {
    Outcome outcome = Outcome::ok;
    std::optional<std::chrono::milliseconds> retry_after;
    std::string reason;  ///< printable, at most some 300 bytes; empty for ok
};

/// The value of a Retry-After header: seconds or one of HTTP's three forms of dates; a date that has
/// passed is zero. Nothing for what is neither. Values beyond a year are cut to it.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_retry_after(
    std::string_view value, std::chrono::system_clock::time_point now);

/// Pre: `reply.body` has been redacted where it is shown.
[[nodiscard]] Assessment assess(const TransportReply& reply,
                                const RetryPolicy& policy,
                                std::chrono::system_clock::time_point now);

/// How often one call has been tried.
struct Tries {
    int attempts = 0;  ///< that ended in `retry`
    int busy = 0;      ///< that ended in `busy`
    bool last_was_busy = false;
    std::chrono::milliseconds since_first{0};
};

/// How long to wait before the next try: drawn evenly from 0 to a bound that doubles with each try of the
/// last one's kind (full jitter), after Retry-After where there is one. Nothing when a limit of the policy has been reached.
[[nodiscard]] std::optional<std::chrono::milliseconds> next_delay(
    const RetryPolicy& policy,
    const Tries& tries,
    std::optional<std::chrono::milliseconds> retry_after,
    const RandomKey& key);

}  // namespace dln::http
