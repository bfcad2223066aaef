#pragma once
// What became of a backend's calls, in words. Pure.

#include <string>
#include <vector>

#include "dln/llm/backend_counts.hpp"

namespace dln {

/// One or two lines that name only what is not zero; none when nothing was sent.
[[nodiscard]] std::vector<std::string> describe(const BackendCounts& counts);

}  // namespace dln
