#include "dln/sweep/adaptive_search.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "dln/error.hpp"
#include "dln/sweep/tpe.hpp"

namespace dln {
namespace {

class HalvingSearch : public AdaptiveSearch {
  public:
    explicit HalvingSearch(const SweepSpec& spec)
        : space_(spec),
          halving_(halving_brackets(spec), spec.halving.value().reduction, spec.metric.goal) {}

    std::optional<SearchWork> take() override {
        const std::optional<HalvingWork> work = halving_.next();
        if (!work) return std::nullopt;
        halving_.give(*work);
        return SearchWork{.place = *work, .settings = space_.configuration(work->configuration)};
    }
    void observe(const SearchWork& work, std::optional<double> metric) override {
        halving_.observe(work.place, metric);
    }
    [[nodiscard]] bool is_exhausted() const override { return halving_.is_done(); }
    [[nodiscard]] std::vector<BracketProgress> brackets() const override {
        return halving_.progress();
    }

  private:
    SearchSpace space_;
    Halving halving_;
};

class TpeSearch : public AdaptiveSearch {
  public:
    explicit TpeSearch(const SweepSpec& spec) : spec_(spec), space_(spec) {}

    std::optional<SearchWork> take() override {
        if (is_exhausted()) return std::nullopt;
        const std::vector<double> drawn = tpe_places(spec_, observations_, taken_);
        SearchWork work{.place = {.configuration = taken_}, .settings = space_.at(drawn)};
        Places& places = under_way_[taken_++];
        for (std::size_t d = 0; d < drawn.size(); ++d) {
            const bool counts = std::ranges::find(work.settings, spec_.space[d].pointer,
                                                  &Setting::pointer) != work.settings.end();
            places.push_back(counts ? std::optional(drawn[d]) : std::nullopt);
        }
        return work;
    }
    void observe(const SearchWork& work, std::optional<double> metric) override {
        const auto places = under_way_.find(work.place.configuration);
        DLN_ASSERT(places != under_way_.end(), "configuration {} is not being trained",
                   work.place.configuration);
        if (metric && std::isfinite(*metric)) {
            observations_.push_back({.places = std::move(places->second), .metric = *metric});
        }
        under_way_.erase(places);
    }
    [[nodiscard]] bool is_exhausted() const override { return taken_ == spec_.configurations; }

  private:
    SweepSpec spec_;
    SearchSpace space_;
    std::uint64_t taken_ = 0;
    std::map<std::uint64_t, Places> under_way_;
    std::vector<TpeObservation> observations_;
};

}  // namespace

std::unique_ptr<AdaptiveSearch> make_adaptive_search(const SweepSpec& spec) {
    if (spec.method == SweepMethod::tpe) return std::make_unique<TpeSearch>(spec);
    return std::make_unique<HalvingSearch>(spec);
}

}  // namespace dln
