#pragma once
// The proposal templates that a job may name instead of writing its own.

#include <vector>

#include "dln/job/job.hpp"

namespace dln {

[[nodiscard]] const std::vector<ProposalTemplateSpec>& built_in_proposals();

}  // namespace dln
