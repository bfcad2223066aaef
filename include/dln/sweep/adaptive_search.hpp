#pragma once
// Methods that decide by results which configuration is trained next, and how far: ASHA and Hyperband (halving.hpp),
// TPE (tpe.hpp). Pure: a search is a function of the sweep file and of what was taken and observed, in that order.

#include <cstdint>
#include <memory>
#include <optional>

#include "dln/sweep/halving.hpp"
#include "dln/sweep/space.hpp"

namespace dln {

/// A configuration to be trained with all seeds of the sweep.
struct SearchWork {
    HalvingWork place;  ///< without halving, all is 0 but the configuration
    Configuration settings;
    friend bool operator==(const SearchWork&, const SearchWork&) = default;
};

class AdaptiveSearch {
  public:
    virtual ~AdaptiveSearch() = default;
    /// What is trained next, which counts as begun; none: nothing, before more is observed.
    [[nodiscard]] virtual std::optional<SearchWork> take() = 0;
    /// The metric, mean of the seeds, that `work` came to; none: a seed failed. Pre: `work` was taken, and not
    /// observed before.
    virtual void observe(const SearchWork& work, std::optional<double> metric) = 0;
    /// Nothing will be taken any more, whatever is observed.
    [[nodiscard]] virtual bool is_exhausted() const = 0;
    /// How far each bracket is; none without halving.
    [[nodiscard]] virtual std::vector<BracketProgress> brackets() const { return {}; }
};

/// Pre: is_adaptive(spec.method).
[[nodiscard]] std::unique_ptr<AdaptiveSearch> make_adaptive_search(const SweepSpec& spec);

}  // namespace dln
