#pragma once
// Calibration of class probabilities (docs/design.md, "Calibration"): a prompt that prefers a class whatever the
// input is corrected by that preference. The same formula for both sources of the prior: content-free inputs (Zhao
// et al. 2021, arXiv 2102.09690) and the inputs that are scored together (Zhou et al. 2023, arXiv 2309.17249). Pure.

#include <span>
#include <vector>

namespace dln {

/// Log-probabilities of the classes in their order, normalised. Where a number may be missing: empty.
using ClassLogProbs = std::vector<double>;

/// log prior(c) = log of the mean over the rows of p(c); rows without numbers are left out. Empty when none has any.
[[nodiscard]] ClassLogProbs class_log_prior(std::span<const ClassLogProbs> rows);

/// log p(c) - log prior(c), normalised over the classes. Pre: equal sizes, not empty.
[[nodiscard]] ClassLogProbs calibrated(std::span<const double> class_log_probs,
                                       std::span<const double> class_log_prior);

}  // namespace dln
