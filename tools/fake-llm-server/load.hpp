#pragma once
// How long requests take and how many are let in. Pure: time is a parameter.

#include <chrono>
#include <cstdint>
#include <optional>

#include "options.hpp"

namespace fake_llm {

/// Seconds since the server began.
using Seconds = double;

/// How long a request holds its slot.
[[nodiscard]] std::chrono::nanoseconds service_time(const LatencyOptions& options,
                                                    std::uint64_t request_hash,
                                                    std::size_t prompts);

/// A bucket that fills at a steady rate up to its size.
class TokenBucket {
  public:
    /// A rate of 0 has no limit.
    TokenBucket(double per_second, double size);
    /// How long until `amount` can be taken; 0 when it can now. More than the whole bucket can be taken
    /// from a full one.
    [[nodiscard]] Seconds wait_for(double amount, Seconds now) const;
    void take(double amount, Seconds now);

  private:
    [[nodiscard]] double level(Seconds now) const;

    double per_second_;
    double size_;
    double level_;
    Seconds at_ = 0.0;
};

/// The limits of requests a second and a minute, and of tokens a minute.
class RateLimits {
  public:
    explicit RateLimits(const LimitOptions& options);
    /// Takes what a request needs, or says how long to wait and takes nothing.
    [[nodiscard]] std::optional<Seconds> refuse(std::int64_t tokens, Seconds now);

  private:
    TokenBucket second_;
    TokenBucket minute_;
    TokenBucket tokens_;
};

}  // namespace fake_llm
