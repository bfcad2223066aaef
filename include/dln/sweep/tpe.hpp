#pragma once
// Tree-structured Parzen estimator: configurations are drawn where good ones were denser than the others. Bergstra
// et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011, section 4: with y* a quantile of what was
// observed, l(x) estimates the density of configurations better than y* and g(x) that of the rest; of some draws
// from l the one with the greatest l / g is taken. Pure.

#include <cstdint>
#include <optional>
#include <vector>

#include "dln/job/sweep_file.hpp"

namespace dln {

/// A configuration as places in [0, 1), one a dimension (see value_at()); none where its condition did not hold.
using Places = std::vector<std::optional<double>>;

struct TpeObservation {
    Places places;
    double metric = 0.0;
};

/// Configurations that are drawn evenly before anything is estimated.
inline constexpr std::size_t kTpeEvenDraws = 10;

/// The places of a new configuration, one a dimension, also of those whose condition will not hold; a function of its
/// arguments alone. `configuration` is its number: two that know of the same observations differ. Observations
/// whose metric is not finite must be left out. A dimension with values is estimated by how often each was chosen,
/// a range by Gaussian kernels on its places, whose widths are the distances to the neighbours, and an even prior
/// of the weight of one observation in both. g is estimated by at most 500 observations, evenly chosen by their metric.
[[nodiscard]] std::vector<double> tpe_places(const SweepSpec& spec,
                                             const std::vector<TpeObservation>& observations,
                                             std::uint64_t configuration);

}  // namespace dln
