#pragma once
// A plan as text for people and as JSON for programs. Rank 0 only.

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/train/plan.hpp"

namespace dln {

/// Measured speed and what follows from it.
struct PlanTiming {
    PlanSpeed speed;
    PlanTime time;
};

/// To standard output.
void print_plan(const Job& job,
                const BackendInfo& backend,
                const Plan& plan,
                const std::optional<PlanTiming>& timing);

/// Numbers are rounded to whole requests and tokens.
[[nodiscard]] nlohmann::ordered_json plan_to_json(const Job& job,
                                                  const BackendInfo& backend,
                                                  const Plan& plan,
                                                  const std::optional<PlanTiming>& timing);

}  // namespace dln
