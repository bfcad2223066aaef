#pragma once
// The trials of an adaptive sweep: each work of the search is one trial a seed. Rank 0 only.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "dln/sweep/decisions.hpp"
#include "dln/sweep/trial_source.hpp"

namespace dln {

/// The metric of a trial that has been trained as far as it should be; none: it has not been, or reports none.
using EndedMetric = std::function<std::optional<double>(const Trial&)>;

class AdaptiveTrials : public TrialSource {
  public:
    /// Takes up what was under way: trials for which `ended_metric` has a number are not run again. `trials` must
    /// outlive this. Pre: decisions.take() was called.
    AdaptiveTrials(const Trials& trials, Decisions decisions, const EndedMetric& ended_metric);

    [[nodiscard]] std::optional<Trial> next() override;
    void ended(std::uint64_t number, std::optional<double> metric) override;
    [[nodiscard]] bool is_exhausted() const override;
    void keep_alive() override { decisions_.keep_alive(); }

  private:
    /// A configuration some of whose seeds are being trained.
    struct UnderWay {
        SearchWork work;
        std::uint64_t seeds_left = 0;
        std::vector<std::optional<double>> metrics;  ///< by seed
    };
    [[nodiscard]] std::vector<Trial> begin(const SearchWork& work);
    void take_up(const SearchWork& work, const EndedMetric& ended_metric);

    const Trials& trials_;
    Decisions decisions_;
    std::map<std::uint64_t, UnderWay> under_way_;  ///< by configuration
    std::deque<Trial> ready_;
};

}  // namespace dln
