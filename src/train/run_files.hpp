#pragma once
// The text files of a run (docs/checkpoint-format.md), as strings. Pure.

#include <cstdint>
#include <string>
#include <string_view>

#include "dln/job/job.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/state.hpp"
#include "dln/train/trainer.hpp"

namespace dln {

/// The parameters that a run stands for now: the best on dev, or the current ones without dev.
[[nodiscard]] const NetworkParameters& best_parameters(const TrainState& state);

/// One line of metrics.jsonl.
[[nodiscard]] std::string metrics_line(std::int64_t step,
                                       std::string_view split,
                                       const DevResult& result);
[[nodiscard]] std::string metrics_line(std::int64_t step,
                                       std::string_view split,
                                       const Evaluation& result);

[[nodiscard]] std::string prompts_json(const Job& job, const TrainState& state);
[[nodiscard]] std::string result_json(const Job& job, const TrainOutcome& outcome);

}  // namespace dln
