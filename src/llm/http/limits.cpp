#include "llm/http/limits.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"

namespace dln::http {

namespace {

constexpr double kSavedSeconds = 10.0;
// How far the usual quickest reply goes towards a window's: half of the way in some 7 windows, or in 35 of
// slow ones.
constexpr double kFollow = 0.1;
constexpr double kForget = 0.02;
constexpr double kShortest = 1e-6;  // seconds; a logarithm is taken
// Seconds. What is quicker is no sign of load, however quick the server was before.
constexpr double kLeastSlow = 0.01;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::int64_t share_of(std::int64_t limit, int rank, int ranks) {
    DLN_ASSERT(limit >= 0 && rank >= 0 && rank < ranks, "limit {}, rank {} of {}", limit, rank,
               ranks);
    return limit / ranks + (rank < limit % ranks ? 1 : 0);
}

InFlightLimit::InFlightLimit(const InFlightOptions& options)
    : options_(options), limit_(static_cast<double>(options.most)) {
    DLN_ASSERT(options.most > 0, "a limit of no calls");
}

std::size_t InFlightLimit::limit() const noexcept { return static_cast<std::size_t>(limit_); }

void InFlightLimit::on_reply(Time sent, Time now, std::size_t in_flight) {
    if (sent < decreased_at_) {
        return;
    }
    ++window_replies_;
    window_was_full_ = window_was_full_ || in_flight >= limit();
    window_quickest_ = std::min(window_quickest_, now - sent);
    if (window_replies_ >= limit()) {
        end_window(sent, now);
    }
}

void InFlightLimit::end_window(Time sent, Time now) {
    const double quickest = std::max(seconds(window_quickest_), kShortest);
    const bool slow = options_.latency_multiple > 0 && usual_quickest_s_ > 0 &&
                      quickest >= kLeastSlow &&
                      quickest > options_.latency_multiple * usual_quickest_s_;
    // The geometric mean: of latencies that are spread widely some window has a very quick one.
    const double weight = usual_quickest_s_ <= 0 ? 1.0 : slow ? kForget : kFollow;
    usual_quickest_s_ = weight >= 1.0
                            ? quickest
                            : usual_quickest_s_ * std::pow(quickest / usual_quickest_s_, weight);
    if (slow) {
        decrease(options_.latency_decrease, sent, now);
    } else if (window_was_full_) {  // a limit that is not reached tells nothing about a higher one
        limit_ = std::min(std::floor(limit_) + 1.0, static_cast<double>(options_.most));
    }
    window_replies_ = 0;
    window_was_full_ = false;
    window_quickest_ = Duration::max();
}

void InFlightLimit::on_overload(Time sent, Time now) { decrease(options_.decrease, sent, now); }

void InFlightLimit::decrease(double factor, Time sent, Time now) {
    if (sent < decreased_at_) {
        return;
    }
    limit_ = std::max(1.0, std::floor(limit_ * factor));
    decreased_at_ = now;
    ++decreases_;
    window_replies_ = 0;
    window_was_full_ = false;
    window_quickest_ = Duration::max();
}

TokenBucket::TokenBucket(std::int64_t thousandths)
    : per_second_(static_cast<double>(thousandths) / 60'000.0),
      capacity_(std::max(1.0, per_second_ * kSavedSeconds)),
      level_(capacity_) {}

double TokenBucket::level_at(Time now) const {
    const double gained =
        at_ == Time::min() ? 0.0 : seconds(std::max(now - at_, Duration(0))) * per_second_;
    return std::min(capacity_, level_ + gained);
}

Time TokenBucket::ready_at(double cost, Time now) const {
    const double missing = std::min(cost, capacity_) - level_at(now);
    if (per_second_ <= 0 || missing <= 1e-9) {
        return now;
    }
    return now + std::chrono::ceil<std::chrono::milliseconds>(
                     std::chrono::duration<double>(missing / per_second_));
}

void TokenBucket::take(double cost, Time now) {
    if (per_second_ > 0) {
        level_ = level_at(now) - cost;
        at_ = now;
    }
}

void TokenBucket::correct(double estimated, double actual, Time now) {
    take(actual - estimated, now);
    level_ = std::min(level_, capacity_);
}

CircuitBreaker::State CircuitBreaker::state(Time now) const {
    if (closed_) {
        return State::closed;
    }
    return trial_under_way_ || now >= open_until_ ? State::half_open : State::open;
}

Time CircuitBreaker::ready_at(Time now) const {
    if (closed_) {
        return now;
    }
    return trial_under_way_ ? Time::max() : std::max(now, open_until_);
}

bool CircuitBreaker::on_send(Time now) {
    DLN_ASSERT(ready_at(now) <= now, "a call to a server that is down");
    trial_under_way_ = !closed_;
    return trial_under_way_;
}

void CircuitBreaker::on_success(bool trial) {
    failures_ = 0;
    // A reply that was on its way when the breaker opened shows as well that the server lives, but a
    // trial's end is waited for: else two of them could be under way.
    if (trial) {
        closed_ = true;
        trial_under_way_ = false;
        cool_down_ = std::chrono::milliseconds(0);
    }
}

void CircuitBreaker::on_failure(bool trial, bool unreachable, Time now) {
    if (trial) {
        trial_under_way_ = false;
        open(now);
    } else if (closed_) {
        ++failures_;
        if (unreachable || failures_ >= options_.failures_to_open) {
            open(now);
        }
    }
}

void CircuitBreaker::on_no_answer(bool trial) {
    if (trial) {
        trial_under_way_ = false;
    }
}

void CircuitBreaker::open(Time now) {
    times_opened_ += closed_ ? 1 : 0;
    cool_down_ = cool_down_.count() == 0 ? options_.first_cool_down
                                         : std::min(cool_down_ * 2, options_.longest_cool_down);
    closed_ = false;
    failures_ = 0;
    open_until_ = now + cool_down_;
}

}  // namespace dln::http
