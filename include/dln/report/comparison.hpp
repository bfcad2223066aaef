#pragma once
// Statistics for comparing trained networks: two on the same examples, or two methods by several runs of
// each. Pure: random numbers come from a counter, so that the same results always give the same figures.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dln/report/statistics.hpp"

namespace dln {

inline constexpr std::size_t kResamples = 10'000;

/// What resampling the examples says of the difference in accuracy, second minus first.
struct PairedBootstrap {
    double difference = 0.0;  ///< as measured
    Interval interval;        ///< percentile interval of the resampled differences
    /// Two-sided: twice the smaller share of resamples with a difference of at least, or at most, 0, the
    /// measured one counted among them; 1 at most. So it is never below 2 / (resamples + 1).
    double p_value = 1.0;
};

/// Draws as many examples as there are, with replacement, `resamples` times, and both systems' answers with
/// each (B. Efron and R. J. Tibshirani 1993, chapters 8 and 13). The same examples are drawn whichever
/// systems are compared. Pre: both have the same size, at least 1.
[[nodiscard]] PairedBootstrap paired_bootstrap(const std::vector<bool>& first,
                                               const std::vector<bool>& second,
                                               std::size_t resamples = kResamples,
                                               double confidence = 0.95);

/// The p-values of a family of tests, each raised so that the chance of one false finding or more among
/// them stays below the level (S. Holm 1979), in the order given. Holds for dependent tests too.
[[nodiscard]] std::vector<double> holm_adjusted(const std::vector<double>& p_values);

/// How runs of one method differ.
struct Spread {
    std::size_t runs = 0;
    double mean = 0.0;
    std::optional<double> deviation;  ///< with runs - 1 in the denominator; none for one run
};

/// Pre: at least one value.
[[nodiscard]] Spread spread_of(const std::vector<double>& values);

/// What exchanging runs between two methods says of the difference of their means.
struct PermutationTest {
    /// Two-sided: share of the ways to deal out the runs whose means differ as much as measured, or more.
    double p_value = 1.0;
    double least_p = 1.0;  ///< no result of so few runs could have a smaller one
    bool is_exact = true;  ///< over all ways; else over kResamples random ones and the measured one
};

/// `first` and `second`: right answers of each run, on the same examples. Exact up to 200,000 ways (10 runs
/// against 10). Pre: both have at least one run.
[[nodiscard]] PermutationTest permutation_test(const std::vector<std::int64_t>& first,
                                               const std::vector<std::int64_t>& second);

}  // namespace dln
