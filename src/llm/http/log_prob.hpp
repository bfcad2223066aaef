#pragma once
// One log-probability of a reply: a number that can be used, or what it is instead. Pure.

#include "llm/http/strict_json.hpp"

namespace dln::http {

struct LogProb {
    enum class Kind {
        good,
        floored,    ///< the server's stand-in for minus infinity: asking again gives it again
        malformed,  ///< null, a text, above 0: not a log-probability
    };
    Kind kind = Kind::malformed;
    double value = 0.0;  ///< of `good`; finite and at most 0
};

/// Values of up to 1e-6 above 0, the rounding of a probability of 1, count as 0. Values from -9998 down
/// are stand-ins (vLLM writes -9999.0 for minus infinity).
[[nodiscard]] LogProb read_log_prob(const Json& value);

}  // namespace dln::http
