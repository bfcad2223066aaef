#pragma once
// What a backend can really do, found out with a few tokens before any is spent on training: does its
// generation agree with its scoring, do scores depend on what they are computed beside, is a context that
// is too long refused. Any rank.

#include <functional>
#include <string>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

/// Name of the check that generation and scoring belong together.
inline constexpr const char* kAgreementCheck = "generation agrees with scoring";

struct ProbeCheck {
    std::string name;
    bool ok = false;
    std::string detail;  ///< what was seen; on failure also what to do
};

/// When a probe is content with less.
struct ProbeLimits {
    /// Servers that take longer for the first request (five short targets) are asked for fewer and
    /// shorter texts afterwards. Other backends never: nothing of a run may depend on the clock.
    double slow_request_seconds = 0.5;
};

struct ProbeReport {
    BackendInfo info;
    std::vector<ProbeCheck>
        checks;  ///< in the order in which they were made; a refusal may be the last
    /// Largest difference, in nats a target, between scores of the same targets: repeated, alone and
    /// beside others. Smaller differences between candidates mean nothing.
    double noise_floor = 0.0;
    double scored_items_per_second = 0.0;  ///< measured here and now: for `plan` and for people
    double generated_tokens_per_second = 0.0;
    Usage used;  ///< by the probe itself
    [[nodiscard]] bool ok() const;
    /// False: a check before the measurements refused the backend.
    [[nodiscard]] bool has_measurements() const { return scored_items_per_second > 0.0; }
};

/// Generation against scoring, then noise, then the too long context. What fails the first check is not
/// asked for more. Pre: nothing is pending on `probed`.
[[nodiscard]] ProbeReport probe_backend(Backend& probed, const ProbeLimits& limits = {});

/// What probe_backend will cost where requests become what `manner` says, before it is known how the backend
/// does: all checks are passed. `tokens` counts those of a text, `begin_text` stands in front of contexts,
/// `is_slow`: see ProbeLimits.
[[nodiscard]] RequestCost cost_of_probe(const RequestManner& manner,
                                        const std::function<double(const std::string&)>& tokens,
                                        const std::string& begin_text,
                                        bool is_slow);

/// Whether a server is one of those that are asked for less, and what finding out costs: sends the probe's
/// first request for scores. Pre: as probe_backend.
struct Slowness {
    bool is_slow = false;
    Usage used;
};
[[nodiscard]] Slowness measure_slowness(Backend& backend, const ProbeLimits& limits = {});

/// The first check alone, a few calls: can targets be scored, and do their scores belong to them?
/// Pre: as probe_backend.
[[nodiscard]] ProbeReport check_scores_belong(Backend& probed);

}  // namespace dln
