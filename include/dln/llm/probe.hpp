#pragma once
// What a backend can really do, found out with a few tokens before any is spent on training: does its
// generation agree with its scoring, do scores depend on what they are computed beside, is a context that
// is too long refused. Any rank.

#include <string>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

struct ProbeCheck {
    std::string name;
    bool ok = false;
    std::string detail;  ///< what was seen; on failure also what to do
};

struct ProbeReport {
    BackendInfo info;
    std::vector<ProbeCheck> checks;
    /// Largest difference, in nats a target, between scores of the same targets: repeated, alone and
    /// beside others. Smaller differences between candidates mean nothing.
    double noise_floor = 0.0;
    double scored_items_per_second = 0.0;  ///< measured here and now: for `plan` and for people
    double generated_tokens_per_second = 0.0;
    [[nodiscard]] bool ok() const;
};

/// Pre: nothing is pending on `backend`.
[[nodiscard]] ProbeReport probe_backend(Backend& backend);

}  // namespace dln
