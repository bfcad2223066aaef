#include "dln/report/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln {

Interval wilson_interval(std::size_t successes, std::size_t trials, double confidence) {
    DLN_ASSERT(successes <= trials, "{} of {}", successes, trials);
    DLN_ASSERT(confidence > 0.0 && confidence < 1.0, "{}", confidence);
    if (trials == 0) {
        return {.low = 0.0, .high = 1.0};
    }
    const double z = boost::math::quantile(boost::math::normal(), 1.0 - (1.0 - confidence) / 2.0);
    const double n = static_cast<double>(trials);
    const double share = static_cast<double>(successes) / n;
    const double scale = 1.0 / (1.0 + z * z / n);
    const double centre = scale * (share + z * z / (2.0 * n));
    const double half = scale * z * std::sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n));
    // at the ends the bound is exactly 0 or 1; arithmetic leaves 1e-17
    return {.low = successes == 0 ? 0.0 : std::max(0.0, centre - half),
            .high = successes == trials ? 1.0 : std::min(1.0, centre + half)};
}

PairedTest mcnemar(const std::vector<bool>& first, const std::vector<bool>& second) {
    DLN_ASSERT(first.size() == second.size(), "{} against {}", first.size(), second.size());
    PairedTest test;
    for (std::size_t i = 0; i < first.size(); ++i) {
        test.only_first += first[i] && !second[i] ? 1U : 0U;
        test.only_second += second[i] && !first[i] ? 1U : 0U;
    }
    const auto discordant = test.only_first + test.only_second;
    if (discordant > 0) {
        const boost::math::binomial fair(static_cast<double>(discordant), 0.5);
        const auto fewer = static_cast<double>(std::min(test.only_first, test.only_second));
        test.p_value = std::min(1.0, 2.0 * boost::math::cdf(fair, fewer));
    }
    return test;
}

namespace {

struct MeanWithError {
    double mean = 0.0;
    double error = 0.0;  // standard error
};

// Pre: at least two values.
MeanWithError mean_with_error(std::span<const double> values) {
    const double n = static_cast<double>(values.size());
    double sum = 0.0;
    for (const double value : values) sum += value;
    const double mean = sum / n;
    double squares = 0.0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return {.mean = mean, .error = std::sqrt(squares / (n - 1.0) / n)};
}

}  // namespace

double lower_bound_of_mean(std::span<const double> differences, double confidence) {
    DLN_ASSERT(confidence > 0.0 && confidence < 1.0, "{}", confidence);
    constexpr std::size_t kFewest = 3;
    if (differences.size() < kFewest) return -std::numeric_limits<double>::infinity();
    const MeanWithError found = mean_with_error(differences);
    const boost::math::students_t distribution(static_cast<double>(differences.size()) - 1.0);
    return found.mean - boost::math::quantile(distribution, confidence) * found.error;
}

std::optional<Interval> interval_of_mean(std::span<const double> values, double confidence) {
    DLN_ASSERT(confidence > 0.0 && confidence < 1.0, "{}", confidence);
    if (values.size() < 2) return std::nullopt;
    const MeanWithError found = mean_with_error(values);
    const boost::math::students_t distribution(static_cast<double>(values.size()) - 1.0);
    const double half =
        boost::math::quantile(distribution, 1.0 - (1.0 - confidence) / 2.0) * found.error;
    return Interval{.low = found.mean - half, .high = found.mean + half};
}

Interval bootstrap_ratio(std::span<const double> numerators,
                         std::span<const double> denominators,
                         std::uint64_t seed,
                         double confidence) {
    constexpr std::size_t kResamples = 2000;
    DLN_ASSERT(numerators.size() == denominators.size(), "{} over {}", numerators.size(),
               denominators.size());
    if (numerators.empty()) return {};
    CounterRng random({.seed = seed, .role = RandomRole::bootstrap});
    std::vector<double> ratios(kResamples);
    for (double& ratio : ratios) {
        double above = 0.0;
        double below = 0.0;
        for (std::size_t i = 0; i < numerators.size(); ++i) {
            const std::size_t drawn = random.below(numerators.size());
            above += numerators[drawn];
            below += denominators[drawn];
        }
        ratio = above / below;
    }
    std::ranges::sort(ratios);
    const auto at = [&](double share) {
        return ratios[static_cast<std::size_t>(
            std::llround(share * static_cast<double>(kResamples - 1)))];
    };
    const double tail = (1.0 - confidence) / 2.0;
    return {.low = at(tail), .high = at(1.0 - tail)};
}

}  // namespace dln
