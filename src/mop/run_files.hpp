#pragma once
// Texts of the files of a mixture's run that are not step files. Rank 0.

#include <cstdint>
#include <string>
#include <string_view>

#include "dln/mop/trainer.hpp"

namespace dln::mop {

inline constexpr const char* kDivergedFile = "diverged.json";

/// A line of metrics.jsonl for the texts of a step.
[[nodiscard]] std::string train_line(std::int64_t step, const TrainedStep& taken);
/// A line of metrics.jsonl for a split.
[[nodiscard]] std::string metrics_line(const MopJob& job,
                                       std::int64_t step,
                                       std::string_view split,
                                       const SplitSums& sums);
[[nodiscard]] std::string result_json(const MopJob& job,
                                      const MopOutcome& outcome,
                                      const MixtureTexts& test);
/// Of a run whose loss on `split` is no number any more in `step`; `good`: the newest step file.
[[nodiscard]] std::string diverged_json(std::int64_t step,
                                        std::string_view split,
                                        std::int64_t good);

}  // namespace dln::mop
