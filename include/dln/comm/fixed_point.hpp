#pragma once
// Real numbers as 64-bit integers, so that sums over examples and ranks are exact and their order does not
// matter: 1, 2 or 64 ranks give the same bits. Resolution 2^-32 (2.3e-10 nats), range +-2^31. Pure.

#include <cmath>
#include <cstdint>

#include "dln/error.hpp"

namespace dln {

inline constexpr double kFixedPointScale = 4294967296.0;  // 2^32

/// Nearest representable value. Throws InternalError when `value` is not finite or out of range.
[[nodiscard]] inline std::int64_t to_fixed_point(double value) {
    DLN_ASSERT(std::isfinite(value) && std::abs(value) < 2147483648.0, "{} has no fixed-point form",
               value);
    return std::llround(value * kFixedPointScale);
}

[[nodiscard]] inline double from_fixed_point(std::int64_t fixed) {
    return static_cast<double>(fixed) / kFixedPointScale;
}

}  // namespace dln
