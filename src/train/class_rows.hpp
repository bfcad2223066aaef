#pragma once
// Class log-probabilities as arrays of step files. Pure; rank 0.

#include <string>
#include <vector>

#include "dln/network/calibration.hpp"
#include "dln/store/checkpoint_store.hpp"

namespace dln {

/// [row][class]; a row without numbers is NaN.
[[nodiscard]] Array class_rows(const std::vector<ClassLogProbs>& rows);

/// What class_rows made of rows, `count` of them; throws CheckpointError when `path` has another number.
[[nodiscard]] std::vector<ClassLogProbs> read_class_rows(const StepDocument& document,
                                                         const std::string& path,
                                                         std::size_t count);

}  // namespace dln
