#include "dln/train/racing.hpp"

#include <algorithm>
#include <optional>

#include "dln/report/statistics.hpp"

namespace dln {
namespace {

// Absent when an example has no value: such a candidate cannot lead.
std::optional<double> sum_on(const ExampleValues& values, std::span<const std::size_t> seen) {
    double sum = 0.0;
    for (const std::size_t i : seen) {
        if (!values[i]) return std::nullopt;
        sum += *values[i];
    }
    return sum;
}

bool surely_beats(const ExampleValues& leader,
                  const ExampleValues& racer,
                  std::span<const std::size_t> seen,
                  double risk) {
    std::vector<double> differences;
    for (const std::size_t i : seen) differences.push_back(*leader[i] - *racer[i]);
    return lower_bound_of_mean(differences, 1.0 - risk) > 0.0;
}

}  // namespace

std::vector<std::size_t> still_racing(const std::vector<ExampleValues>& values,
                                      const std::vector<std::size_t>& racers,
                                      std::span<const std::size_t> seen,
                                      double risk) {
    std::optional<std::size_t> leader;
    std::optional<double> highest;
    for (std::size_t k = 0; k < values.size(); ++k) {
        const auto sum = sum_on(values[k], seen);
        if (sum && (!highest || *sum > *highest)) {
            highest = sum;
            leader = k;
        }
    }
    std::vector<std::size_t> left;
    for (const std::size_t k : racers) {
        if (!sum_on(values[k], seen)) continue;
        if (k != *leader && surely_beats(values[*leader], values[k], seen, risk)) continue;
        left.push_back(k);
    }
    return left;
}

}  // namespace dln
