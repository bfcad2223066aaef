#include "llm/http/log_prob.hpp"

#include <algorithm>
#include <cmath>

namespace dln::http {

LogProb read_log_prob(const Json& value) {
    constexpr double kRounding = 1e-6;
    constexpr double kFloor = -9998.0;
    if (!value.is_number()) return {};
    const double number = value.get<double>();
    if (!std::isfinite(number) || number > kRounding) return {};
    if (number <= kFloor) return {.kind = LogProb::Kind::floored};
    return {.kind = LogProb::Kind::good, .value = std::min(number, 0.0)};
}

}  // namespace dln::http
