#pragma once
// What the client knows of one endpoint: its share of the limits, whether it is alive, why it was last
// at fault. Pure but for the Secret that it hides.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "llm/http/limits.hpp"
#include "llm/http/retry.hpp"

namespace dln::http {

/// What a call takes from an endpoint's limits.
struct CallCost {
    double requests =
        1;              ///< 0: a look-up, which does not count against the limit of calls in flight
    double tokens = 0;  ///< an estimate, rather too high
    double output = 0;  ///< those of them that are drawn
    [[nodiscard]] bool is_look_up() const noexcept { return requests <= 0; }
};

class Endpoint {
  public:
    struct Limits {
        InFlightOptions in_flight;  ///< most = 0: this rank has no place there
        std::int64_t requests_thousandths = 0;
        std::int64_t tokens_thousandths = 0;
    };
    Endpoint(std::string url, const Limits& limits, const BreakerOptions& breaker);

    [[nodiscard]] const std::string& url() const noexcept { return url_; }
    [[nodiscard]] bool has_place() const noexcept { return limit_.has_value(); }
    [[nodiscard]] bool refuses() const noexcept { return !refusal_.empty(); }
    [[nodiscard]] bool is_alive(Time now) const;
    /// Whether its breaker is open, or a trial is due or under way.
    [[nodiscard]] bool is_away(Time now) const {
        return breaker_.state(now) != CircuitBreaker::State::closed;
    }
    [[nodiscard]] const std::string& last_reason() const noexcept {
        return refusal_.empty() ? last_reason_ : refusal_;
    }
    /// How full it is: calls in flight per call allowed.
    [[nodiscard]] double load() const;
    /// This rank's share of the calls in flight.
    [[nodiscard]] std::size_t most_in_flight() const noexcept { return most_in_flight_; }
    /// Look-ups in flight beside them.
    [[nodiscard]] static std::size_t most_look_ups(std::size_t most_in_flight) noexcept {
        return std::min<std::size_t>(most_in_flight, 64);  // more only make connections
    }
    [[nodiscard]] std::int64_t limit_decreases() const { return limit_ ? limit_->decreases() : 0; }
    [[nodiscard]] std::int64_t breaker_openings() const { return breaker_.times_opened(); }

    /// When a call may be sent; Time::max(): not before something else happens.
    [[nodiscard]] Time ready_at(const CallCost& cost, Time now) const;
    /// Returns whether the call is the breaker's trial. Pre: ready_at(cost, now) <= now.
    bool on_send(const CallCost& cost, Time now);
    /// A call of that cost, which was sent at `sent`, has ended like this. Look-ups are quick whatever the
    /// load: they tell nothing of how many calls the server can take. One that `has_failed_before` and is
    /// answered badly again tells of itself and not of the server.
    void on_end(const CallCost& cost,
                const Assessment& assessment,
                TransportFault fault,
                int status,
                bool trial,
                bool has_failed_before,
                Time sent,
                Time now);
    /// Its reply told how many tokens it had.
    void on_counted(const CallCost& cost, double tokens, Time now) {
        tokens_.correct(cost.tokens, tokens, now);
    }
    /// A call was sent once more on its way: it counts against the limits again.
    void on_resent(const CallCost& cost, Time now);
    /// A call was given up before it ended.
    void on_cancel(const CallCost& cost, bool trial);
    /// While held, an endpoint gets questions and checks only.
    void hold(bool held) { is_held_ = held; }
    [[nodiscard]] bool is_held() const noexcept { return is_held_; }
    /// Nothing can be had here any more.
    void refuse(const std::string& reason) { refusal_ = reason; }

  private:
    std::string url_;
    std::size_t most_in_flight_;
    std::optional<InFlightLimit> limit_;
    TokenBucket requests_;
    TokenBucket tokens_;
    CircuitBreaker breaker_;
    std::size_t in_flight_ = 0;  ///< without look-ups
    std::size_t look_ups_ = 0;   ///< in flight
    Time hold_until_ = Time::min();
    bool is_held_ = false;
    std::string refusal_;
    std::string last_reason_;
};

}  // namespace dln::http
