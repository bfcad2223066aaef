#include "llm/http/endpoint.hpp"

#include <utility>

namespace dln::http {

Endpoint::Endpoint(std::string url, const Limits& limits, const BreakerOptions& breaker)
    : url_(std::move(url)),
      most_in_flight_(limits.in_flight.most),
      requests_(limits.requests_thousandths),
      tokens_(limits.tokens_thousandths),
      breaker_(breaker) {
    if (limits.in_flight.most > 0) {
        limit_.emplace(limits.in_flight);
    }
}

bool Endpoint::is_alive(Time now) const {
    return has_place() && !refuses() && breaker_.state(now) == CircuitBreaker::State::closed;
}

double Endpoint::load() const {
    return limit_ ? static_cast<double>(in_flight_) / static_cast<double>(limit_->limit()) : 1.0;
}

Time Endpoint::ready_at(const CallCost& cost, Time now) const {
    if (!has_place() || refuses()) return Time::max();
    if (cost.is_look_up()) {
        return look_ups_ >= most_look_ups(most_in_flight_)
                   ? Time::max()
                   : std::max(breaker_.ready_at(now), hold_until_);
    }
    if (in_flight_ >= limit_->limit()) return Time::max();
    return std::max({breaker_.ready_at(now), hold_until_, requests_.ready_at(cost.requests, now),
                     tokens_.ready_at(cost.tokens, now)});
}

bool Endpoint::on_send(const CallCost& cost, Time now) {
    const bool trial = breaker_.on_send(now);
    ++(cost.is_look_up() ? look_ups_ : in_flight_);
    requests_.take(cost.requests, now);
    tokens_.take(cost.tokens, now);
    return trial;
}

void Endpoint::on_end(const CallCost& cost,
                      const Assessment& assessment,
                      TransportFault fault,
                      int status,
                      bool trial,
                      bool has_failed_before,
                      Time sent,
                      Time now) {
    const auto in_flight = (cost.is_look_up() ? look_ups_ : in_flight_)--;
    const bool unreachable = fault == TransportFault::resolve || fault == TransportFault::connect ||
                             fault == TransportFault::tls;
    const bool overloaded =
        status == 429 || status == 503 || status == 529 || fault == TransportFault::deadline;
    if (overloaded && !cost.is_look_up()) {
        limit_->on_overload(sent, now);
    }
    if (assessment.retry_after && overloaded) {
        hold_until_ = std::max(hold_until_, now + *assessment.retry_after);
    }
    if (assessment.outcome == Outcome::ok) {
        if (!cost.is_look_up()) limit_->on_reply(sent, now, in_flight);
    } else {
        last_reason_ = assessment.reason;
    }
    // Who answers is alive, also when the answer is no; 429 says that too much was asked, no more.
    const bool failed = assessment.outcome == Outcome::retry ||
                        (assessment.outcome == Outcome::busy && status != 429);
    const bool tells_nothing = !trial && has_failed_before && fault == TransportFault::none &&
                               assessment.outcome == Outcome::retry;
    if (failed && !tells_nothing) {
        breaker_.on_failure(trial, unreachable, now);
    } else if (!failed) {
        breaker_.on_success(trial);
    }
}

void Endpoint::on_resent(const CallCost& cost, Time now) {
    requests_.take(cost.requests, now);
    tokens_.take(cost.tokens, now);
}

void Endpoint::on_cancel(const CallCost& cost, bool trial) {
    --(cost.is_look_up() ? look_ups_ : in_flight_);
    breaker_.on_no_answer(trial);
}

}  // namespace dln::http
