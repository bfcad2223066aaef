#include "dln/sweep/adaptive_trials.hpp"

#include <algorithm>

#include "dln/error.hpp"

namespace dln {
namespace {

// None when one is missing: a configuration that fails with a seed is no good one. In the order of the seeds, so
// that the order in which they end does not change a bit of it.
std::optional<double> mean_of(const std::vector<std::optional<double>>& metrics) {
    double sum = 0.0;
    for (const auto& metric : metrics) {
        if (!metric) return std::nullopt;
        sum += *metric;
    }
    return sum / static_cast<double>(metrics.size());
}

}  // namespace

AdaptiveTrials::AdaptiveTrials(const Trials& trials,
                               Decisions decisions,
                               const EndedMetric& ended_metric)
    : trials_(trials), decisions_(std::move(decisions)) {
    const std::vector<SearchWork> open = decisions_.under_way();
    for (const SearchWork& work : open) take_up(work, ended_metric);
}

std::vector<Trial> AdaptiveTrials::begin(const SearchWork& work) {
    const std::uint64_t seeds = trials_.seeds_each();
    const std::uint64_t configuration = work.place.configuration;
    under_way_[configuration] = {
        .work = work, .seeds_left = seeds, .metrics = std::vector<std::optional<double>>(seeds)};
    std::vector<Trial> trials;
    for (std::uint64_t s = 0; s < seeds; ++s) {
        Trial& trial = trials.emplace_back(trials_.trial(configuration * seeds + s));
        trial.settings = work.settings;
        trial.pause_after = work.place.steps;
    }
    return trials;
}

void AdaptiveTrials::take_up(const SearchWork& work, const EndedMetric& ended_metric) {
    for (Trial& trial : begin(work)) {
        if (const auto metric = ended_metric(trial)) {
            ended(trial.number, metric);
        } else {
            ready_.push_back(std::move(trial));
        }
    }
}

std::optional<Trial> AdaptiveTrials::next() {
    if (ready_.empty()) {
        if (const auto work = decisions_.next())
            std::ranges::move(begin(*work), std::back_inserter(ready_));
    }
    if (ready_.empty()) return std::nullopt;
    Trial trial = std::move(ready_.front());
    ready_.pop_front();
    return trial;
}

void AdaptiveTrials::ended(std::uint64_t number, std::optional<double> metric) {
    const std::uint64_t seeds = trials_.seeds_each();
    const auto found = under_way_.find(number / seeds);
    DLN_ASSERT(found != under_way_.end(), "trial {} was not given out", number);
    UnderWay& here = found->second;
    here.metrics[number % seeds] = metric;
    if (--here.seeds_left > 0) return;
    decisions_.observe(here.work, mean_of(here.metrics));
    under_way_.erase(found);
}

bool AdaptiveTrials::is_exhausted() const {
    return ready_.empty() && decisions_.search().is_exhausted();
}

}  // namespace dln
