#pragma once
// What a run has used over all its processes, as its step files and spent.json tell. Rank 0 only.

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "dln/engine/budget.hpp"
#include "dln/job/job.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/run_directory.hpp"

namespace dln {

inline constexpr const char* kSpentFile = "spent.json";
inline constexpr const char* kRunSeconds = "timing/run_seconds";

/// The backward model's part of what was used, as spent.json and result.json tell it.
[[nodiscard]] nlohmann::ordered_json backward_spent_json(const Spending& spent);

/// The text of spent.json: what had been used when a budget stopped the run behind step `after_step` (-1:
/// before the first step file), with what the step under way had cost by then.
[[nodiscard]] std::string spent_json(std::int64_t after_step, const Spending& spent);

/// What the run in `run` has used, whose newest usable step file is `newest`: that of the file, or, when a
/// budget stopped the run behind it, what spent.json says.
[[nodiscard]] Spending spent_so_far(const RunDirectory& run, const std::optional<StepFile>& newest);

/// What is said when the budget is spent, `steps_done` steps being complete.
[[nodiscard]] std::string budget_message(const Job& job,
                                         const Spending& spent,
                                         std::int64_t steps_done);

}  // namespace dln
