#pragma once
// From token log-probabilities to scores (natural log, nats). Pure.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "dln/job/job.hpp"

namespace dln {

/// Score of a target (design, "Scores"): drops the first floor(burn_in * n) of its n token
/// log-probabilities, then takes their mean, their sum, or their sum per byte of the target.
/// Pre: at least one token. `target_bytes` counts the separator too.
[[nodiscard]] double target_score(std::span<const double> token_log_probs,
                                  std::size_t target_bytes,
                                  const ScoringSpec& spec);

/// log of the sum of exponentials, the maximum subtracted first. Pre: not empty.
[[nodiscard]] double log_sum_exp(std::span<const double> values);

/// log p(class), unnormalised: the sum (log-sum-exp) or the maximum over the forms of the class of the
/// whole form's log-probability. Pre: `form_log_probs` is not empty.
[[nodiscard]] double class_log_prob(std::span<const double> form_log_probs,
                                    VerbalizerCombine combine);

/// Log-probabilities normalised over the classes, the maximum subtracted first.
[[nodiscard]] std::vector<double> normalise_classes(std::span<const double> class_log_probs);

/// Index of the most probable class; the first among equals.
[[nodiscard]] std::size_t predicted_class(std::span<const double> class_log_probs);

/// True when a generated answer is the target's, by the job's metric.
[[nodiscard]] bool is_right_answer(std::string_view output,
                                   std::string_view target,
                                   const ScoringSpec& spec);

}  // namespace dln
