#include "load.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model.hpp"

namespace fake_llm {

std::chrono::nanoseconds service_time(const LatencyOptions& options,
                                      std::uint64_t request_hash,
                                      std::size_t prompts) {
    double ms = options.fixed_ms + options.per_prompt_ms * static_cast<double>(prompts);
    if (options.median_ms > 0.0) {
        const double radius = std::sqrt(-2.0 * std::log(fraction(mix(request_hash, 1))));
        const double angle = 2.0 * std::numbers::pi * fraction(mix(request_hash, 2));
        ms += options.median_ms * std::exp(options.sigma * radius * std::cos(angle));
    }
    return std::chrono::nanoseconds(static_cast<std::int64_t>(ms * 1e6));
}

TokenBucket::TokenBucket(double per_second, double size)
    : per_second_(per_second), size_(std::max(size, 1.0)), level_(size_) {}

double TokenBucket::level(Seconds now) const {
    return std::min(size_, level_ + (now - at_) * per_second_);
}

Seconds TokenBucket::wait_for(double amount, Seconds now) const {
    if (per_second_ <= 0.0) {
        return 0.0;
    }
    const double missing = std::min(amount, size_) - level(now);
    return missing > 1e-9 ? missing / per_second_ : 0.0;
}

void TokenBucket::take(double amount, Seconds now) {
    level_ = level(now) - amount;
    at_ = now;
}

RateLimits::RateLimits(const LimitOptions& options)
    : second_(options.requests_per_second, options.requests_per_second),
      minute_(options.requests_per_minute / 60.0, options.requests_per_minute),
      tokens_(options.tokens_per_minute / 60.0, options.tokens_per_minute) {}

std::optional<Seconds> RateLimits::refuse(std::int64_t tokens, Seconds now) {
    const auto amount = static_cast<double>(tokens);
    const Seconds wait = std::max(
        {second_.wait_for(1.0, now), minute_.wait_for(1.0, now), tokens_.wait_for(amount, now)});
    if (wait > 0.0) {
        return wait;
    }
    second_.take(1.0, now);
    minute_.take(1.0, now);
    tokens_.take(amount, now);
    return std::nullopt;
}

}  // namespace fake_llm
