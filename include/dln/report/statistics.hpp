#pragma once
// Intervals and paired tests for evaluations. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dln {

struct Interval {
    double low = 0.0;
    double high = 0.0;
};

/// Wilson score interval for `successes` of `trials` (E. B. Wilson 1927, eq. with z = normal quantile of
/// 1 - (1-confidence)/2). No trials: [0, 1].
[[nodiscard]] Interval wilson_interval(std::size_t successes,
                                       std::size_t trials,
                                       double confidence = 0.95);

/// Outcome of a paired comparison of two systems on the same examples.
struct PairedTest {
    std::size_t only_first = 0;   ///< examples that only the first got right
    std::size_t only_second = 0;  ///< examples that only the second got right
    double p_value = 1.0;         ///< two-sided exact binomial (McNemar) over the discordant pairs
};

/// Pre: both have the same size. No discordant pair: p = 1.
[[nodiscard]] PairedTest mcnemar(const std::vector<bool>& first, const std::vector<bool>& second);

/// The one-sided lower confidence bound of the mean of paired differences (Student's t); minus infinity for
/// fewer than three, which say nothing of their spread.
[[nodiscard]] double lower_bound_of_mean(std::span<const double> differences, double confidence);

/// The two-sided confidence interval of the mean (Student's t); none for fewer than two values, which say nothing
/// of their spread.
[[nodiscard]] std::optional<Interval> interval_of_mean(std::span<const double> values,
                                                       double confidence = 0.95);

/// Percentile bootstrap (B. Efron 1979) of sum(numerators) / sum(denominators) over pairs drawn with replacement, 2,000
/// times, by `seed`. No pair: [0, 0]. Pre: equal sizes, denominators above 0.
[[nodiscard]] Interval bootstrap_ratio(std::span<const double> numerators,
                                       std::span<const double> denominators,
                                       std::uint64_t seed,
                                       double confidence = 0.95);

}  // namespace dln
