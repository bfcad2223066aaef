#pragma once
// What would work with servers that were refused: found by trying it. Rank 0 only.

#include <string>

#include "dln/error.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/probe.hpp"

#include "cli/session.hpp"

namespace dln {

/// Tries other texts to begin with and other dialects on the servers of `refused`, a few calls each, and
/// says as a sentence which is the first that passes, and how to ask for it. Empty: none, or no server.
/// `report`: how they were refused, without checks when they were not even probed.
[[nodiscard]] std::string working_alternative(const ProbeReport& report,
                                              const BackendSpec& refused,
                                              const BackendPlace& place);

/// `error` with the alternative behind its message, when there is one.
[[nodiscard]] BackendError with_alternative(const BackendError& error,
                                            const ProbeReport& report,
                                            const BackendSpec& refused,
                                            const BackendPlace& place);

}  // namespace dln
