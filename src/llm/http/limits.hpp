#pragma once
// How much may be asked of an endpoint, and when: calls in flight, calls and tokens a minute, and whether
// it is alive at all. Pure: every function takes the time, so that nothing here waits or reads a clock.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace dln::http {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// What one rank gets of a limit that holds for all ranks together: limit / ranks, and one more on the
/// first ranks while something is left. The shares of all ranks add up to `limit`. May be 0.
[[nodiscard]] std::int64_t share_of(std::int64_t limit, int rank, int ranks);

struct InFlightOptions {
    std::size_t most = 16;
    double decrease = 0.5;          ///< factor when the server says that it is overloaded
    double latency_decrease = 0.8;  ///< factor when replies have become slow
    /// Replies are slow when the quickest of a window takes so many times the usual quickest. 0: never.
    double latency_multiple = 4.0;
};

/// The number of calls in flight: additive increase, multiplicative decrease. A window is as many replies
/// as calls are allowed. Compared are the quickest replies of windows, as calls differ in length.
class InFlightLimit {
  public:
    /// Begins at `most`, which the user has set. Pre: most > 0.
    explicit InFlightLimit(const InFlightOptions& options);
    [[nodiscard]] std::size_t limit() const noexcept;
    /// A good reply to a call that was sent at `sent`, when `in_flight` calls were (itself included).
    void on_reply(Time sent, Time now, std::size_t in_flight);
    /// The server has refused or dropped a call for its load. Calls that were sent before the last
    /// decrease say nothing new.
    void on_overload(Time sent, Time now);
    [[nodiscard]] std::int64_t decreases() const noexcept { return decreases_; }

  private:
    void decrease(double factor, Time sent, Time now);
    void end_window(Time sent, Time now);
    InFlightOptions options_;
    double limit_;
    Time decreased_at_ = Time::min();
    std::size_t window_replies_ = 0;
    bool window_was_full_ = false;
    Duration window_quickest_ = Duration::max();
    double usual_quickest_s_ = 0.0;  ///< 0: not known yet
    std::int64_t decreases_ = 0;
};

/// So many units a minute, saved up for at most ten seconds (and for at least one unit). What costs more
/// than can be saved goes when the bucket is full and leaves a debt.
class TokenBucket {
  public:
    /// `thousandths` of units a minute, so that shares of small limits are exact; 0: no limit.
    explicit TokenBucket(std::int64_t thousandths = 0);
    /// When `cost` may be taken; not later than `now` means at once.
    [[nodiscard]] Time ready_at(double cost, Time now) const;
    void take(double cost, Time now);
    /// What was taken as `estimated` cost `actual`.
    void correct(double estimated, double actual, Time now);

  private:
    [[nodiscard]] double level_at(Time now) const;
    double per_second_;
    double capacity_;
    double level_;
    Time at_ = Time::min();
};

struct BreakerOptions {
    int failures_to_open = 5;  ///< one after the other
    std::chrono::milliseconds first_cool_down{1'000};
    std::chrono::milliseconds longest_cool_down{30'000};  ///< each failed trial doubles it
};

/// Keeps calls from a server that is down. Closed: calls pass. Open: none until the cool-down is over.
/// Then half-open: one call is the trial; its success closes, its failure opens for longer.
class CircuitBreaker {
  public:
    enum class State { closed, open, half_open };
    explicit CircuitBreaker(const BreakerOptions& options) : options_(options) {}
    [[nodiscard]] State state(Time now) const;
    /// When the next call may be sent; Time::max() while a trial is under way.
    [[nodiscard]] Time ready_at(Time now) const;
    /// A call is sent. Returns whether it is the trial. Pre: ready_at(now) <= now.
    bool on_send(Time now);
    void on_success(bool trial);
    /// `unreachable`: there was no connection; opens at once. Only the trial counts while open.
    void on_failure(bool trial, bool unreachable, Time now);
    /// The trial came to nothing that tells (it was cancelled): another may be sent.
    void on_no_answer(bool trial);
    [[nodiscard]] std::int64_t times_opened() const noexcept { return times_opened_; }

  private:
    void open(Time now);
    BreakerOptions options_;
    int failures_ = 0;
    bool closed_ = true;
    bool trial_under_way_ = false;
    Time open_until_ = Time::min();
    std::chrono::milliseconds cool_down_{0};
    std::int64_t times_opened_ = 0;
};

}  // namespace dln::http
