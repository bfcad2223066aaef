#include "dln/report/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln {
namespace {

constexpr double kMostWays = 200'000.0;

// Layers of RandomRole::comparison. DO NOT CHANGE: published figures depend on them.
constexpr std::uint64_t kBootstrapLayer = 0;
constexpr std::uint64_t kPermutationLayer = 1;

CounterRng random_of(std::uint64_t layer, std::size_t sample) {
    return CounterRng({.layer = layer, .role = RandomRole::comparison, .sample = sample});
}

// Share of a resampling distribution, the measured value counted as one of it.
double share(std::size_t count, std::size_t resamples) {
    return static_cast<double>(count + 1) / static_cast<double>(resamples + 1);
}

// Ways to choose `chosen` of `all`.
double ways(std::size_t all, std::size_t chosen) {
    double result = 1.0;
    for (std::size_t i = 1; i <= chosen; ++i) {
        result *= static_cast<double>(all - chosen + i) / static_cast<double>(i);
    }
    return std::round(result);
}

// The difference of the two means in whole numbers, so that equal ones compare equal.
class MeanDifference {
  public:
    MeanDifference(const std::vector<std::int64_t>& pooled, std::size_t first_runs)
        : sum_(std::accumulate(pooled.begin(), pooled.end(), std::int64_t{0})),
          all_(static_cast<std::int64_t>(pooled.size())),
          first_(static_cast<std::int64_t>(first_runs)) {}

    [[nodiscard]] std::int64_t operator()(std::int64_t first_sum) const {
        return std::abs(first_sum * all_ - sum_ * first_);
    }

  private:
    std::int64_t sum_;
    std::int64_t all_;
    std::int64_t first_;
};

// Over all ways to choose the first method's runs, as bit patterns in lexicographic order.
double exact_share(const std::vector<std::int64_t>& pooled,
                   std::size_t first_runs,
                   std::int64_t measured,
                   const MeanDifference& difference) {
    std::vector<bool> is_first(pooled.size(), false);
    std::fill_n(is_first.begin(), first_runs, true);
    std::size_t as_large = 0;
    std::size_t all = 0;
    do {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < pooled.size(); ++i) sum += is_first[i] ? pooled[i] : 0;
        as_large += difference(sum) >= measured ? 1U : 0U;
        ++all;
    } while (std::prev_permutation(is_first.begin(), is_first.end()));
    return static_cast<double>(as_large) / static_cast<double>(all);
}

double sampled_share(const std::vector<std::int64_t>& pooled,
                     std::size_t first_runs,
                     std::int64_t measured,
                     const MeanDifference& difference) {
    std::size_t as_large = 0;
    for (std::size_t sample = 0; sample < kResamples; ++sample) {
        const auto order = random_of(kPermutationLayer, sample).permutation(pooled.size());
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < first_runs; ++i) sum += pooled[order[i]];
        as_large += difference(sum) >= measured ? 1U : 0U;
    }
    return share(as_large, kResamples);
}

}  // namespace

PairedBootstrap paired_bootstrap(const std::vector<bool>& first,
                                 const std::vector<bool>& second,
                                 std::size_t resamples,
                                 double confidence) {
    DLN_ASSERT(first.size() == second.size() && !first.empty(), "{} against {}", first.size(),
               second.size());
    DLN_ASSERT(resamples > 0, "no resamples");
    DLN_ASSERT(confidence > 0.0 && confidence < 1.0, "{}", confidence);
    std::vector<std::int64_t> gains(first.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
        gains[i] = static_cast<std::int64_t>(second[i]) - static_cast<std::int64_t>(first[i]);
    }
    std::vector<std::int64_t> sums(resamples, 0);
    for (std::size_t sample = 0; sample < resamples; ++sample) {
        CounterRng random = random_of(kBootstrapLayer, sample);
        for (std::size_t i = 0; i < gains.size(); ++i)
            sums[sample] += gains[random.below(gains.size())];
    }
    std::ranges::sort(sums);
    const auto below = std::ranges::upper_bound(sums, 0) - sums.begin();
    const auto above = sums.end() - std::ranges::lower_bound(sums, 0);
    const double smaller = share(static_cast<std::size_t>(std::min(below, above)), resamples);
    // The k-th smallest and the k-th largest, k = (resamples + 1) (1 - confidence) / 2.
    const double k = std::floor(static_cast<double>(resamples + 1) * (1.0 - confidence) / 2.0);
    const std::size_t cut = std::max<std::size_t>(static_cast<std::size_t>(k), 1) - 1;
    const auto n = static_cast<double>(gains.size());
    const auto measured = std::accumulate(gains.begin(), gains.end(), std::int64_t{0});
    return {.difference = static_cast<double>(measured) / n,
            .interval = {.low = static_cast<double>(sums[cut]) / n,
                         .high = static_cast<double>(sums[resamples - 1 - cut]) / n},
            .p_value = std::min(1.0, 2.0 * smaller)};
}

std::vector<double> holm_adjusted(const std::vector<double>& p_values) {
    std::vector<std::size_t> order(p_values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
    std::vector<double> adjusted(p_values.size());
    double largest = 0.0;
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
        const auto left = static_cast<double>(order.size() - rank);
        largest = std::max(largest, std::min(1.0, left * p_values[order[rank]]));
        adjusted[order[rank]] = largest;
    }
    return adjusted;
}

Spread spread_of(const std::vector<double>& values) {
    DLN_ASSERT(!values.empty(), "no values");
    const auto n = static_cast<double>(values.size());
    Spread spread{.runs = values.size(),
                  .mean = std::accumulate(values.begin(), values.end(), 0.0) / n};
    if (values.size() > 1) {
        double squares = 0.0;
        for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
        spread.deviation = std::sqrt(squares / (n - 1.0));
    }
    return spread;
}

PermutationTest permutation_test(const std::vector<std::int64_t>& first,
                                 const std::vector<std::int64_t>& second) {
    DLN_ASSERT(!first.empty() && !second.empty(), "{} runs against {}", first.size(),
               second.size());
    std::vector<std::int64_t> pooled = first;
    pooled.insert(pooled.end(), second.begin(), second.end());
    const MeanDifference difference(pooled, first.size());
    const std::int64_t measured =
        difference(std::accumulate(first.begin(), first.end(), std::int64_t{0}));
    const double all = ways(pooled.size(), first.size());
    PermutationTest test{.is_exact = all <= kMostWays};
    // Equally many runs: the mirror image differs as much.
    test.least_p = std::min(1.0, (first.size() == second.size() ? 2.0 : 1.0) / all);
    if (test.is_exact) {
        test.p_value = exact_share(pooled, first.size(), measured, difference);
    } else {
        test.least_p = std::max(test.least_p, share(0, kResamples));
        test.p_value = sampled_share(pooled, first.size(), measured, difference);
    }
    return test;
}

}  // namespace dln
