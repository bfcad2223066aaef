#include "dln/sweep/tpe.hpp"

#include <algorithm>
#include <cmath>

#include "dln/random/counter_rng.hpp"

namespace dln {
namespace {

constexpr std::size_t kDraws = 24;    // from l
constexpr double kShareOfGood = 0.1;  // of the observations, and at most
constexpr std::size_t kMostGood = 25;
constexpr std::size_t kMostRest = 500;  // observations that g is estimated by
constexpr double kNarrowest =
    0.01;  // of a kernel's width, so that equal places do not become a needle

double normal_cumulative(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// Kernels cut off at the ends of [0, 1), mixed with an even density of the weight of one of them.
class RangeDensity {
  public:
    explicit RangeDensity(std::vector<double> places) : centres_(std::move(places)) {
        std::ranges::sort(centres_);
        for (std::size_t i = 0; i < centres_.size(); ++i) {
            const double low = i == 0 ? 0.0 : centres_[i - 1];
            const double high = i + 1 == centres_.size() ? 1.0 : centres_[i + 1];
            widths_.push_back(std::max({centres_[i] - low, high - centres_[i], kNarrowest}));
        }
    }
    [[nodiscard]] double at(double place) const {
        double sum = 1.0;
        for (std::size_t i = 0; i < centres_.size(); ++i) {
            const double z = (place - centres_[i]) / widths_[i];
            sum += std::exp(-0.5 * z * z) / (std::sqrt(2.0 * M_PI) * widths_[i] * inside(i));
        }
        return sum / static_cast<double>(centres_.size() + 1);
    }
    [[nodiscard]] double draw(CounterRng& random) const {
        const std::uint64_t kernel = random.below(centres_.size() + 1);
        const double place = random.uniform();
        if (kernel == centres_.size()) return place;
        // By halving: the normal distribution's inverse at the part that `place` is of what lies inside.
        const double centre = centres_[kernel];
        const double width = widths_[kernel];
        const double below = normal_cumulative(-centre / width);
        const double wanted = below + place * inside(kernel);
        double low = 0.0;
        double high = 1.0;
        for (int i = 0; i < 50; ++i) {
            const double middle = 0.5 * (low + high);
            (normal_cumulative((middle - centre) / width) < wanted ? low : high) = middle;
        }
        return std::min(low, std::nextafter(1.0, 0.0));
    }

  private:
    // How much of a kernel lies in [0, 1).
    [[nodiscard]] double inside(std::size_t i) const {
        return normal_cumulative((1.0 - centres_[i]) / widths_[i]) -
               normal_cumulative(-centres_[i] / widths_[i]);
    }
    std::vector<double> centres_;
    std::vector<double> widths_;
};

// How often each of `count` values was chosen, each once more than it was.
class ChoiceDensity {
  public:
    ChoiceDensity(const std::vector<double>& places, std::size_t count) : times_(count, 1.0) {
        for (const double place : places) times_[entry(place)] += 1.0;
        sum_ = static_cast<double>(count + places.size());
    }
    [[nodiscard]] double at(double place) const { return times_[entry(place)] / sum_; }
    [[nodiscard]] double draw(CounterRng& random) const {
        double left = random.uniform() * sum_;
        std::size_t chosen = 0;
        while (chosen + 1 < times_.size() && left >= times_[chosen]) left -= times_[chosen++];
        return (static_cast<double>(chosen) + 0.5) / static_cast<double>(times_.size());
    }

  private:
    [[nodiscard]] std::size_t entry(double place) const {
        const auto count = static_cast<double>(times_.size());
        return std::min(static_cast<std::size_t>(place * count), times_.size() - 1);
    }
    std::vector<double> times_;
    double sum_ = 0.0;
};

// The draw from `good` at which it is densest against `rest`.
template <class Density>
double best_draw(const Density& good, const Density& rest, CounterRng& random) {
    double best = 0.0;
    double best_ratio = -1.0;
    for (std::size_t i = 0; i < kDraws; ++i) {
        const double place = good.draw(random);
        const double ratio = good.at(place) / rest.at(place);
        if (ratio > best_ratio) {
            best = place;
            best_ratio = ratio;
        }
    }
    return best;
}

// At most kMostRest of them, evenly over their order: a density needs no more, and each costs time in each decision.
std::vector<const TpeObservation*> thinned_out(std::vector<const TpeObservation*> rest) {
    if (rest.size() <= kMostRest) return rest;
    std::vector<const TpeObservation*> kept;
    for (std::size_t i = 0; i < kMostRest; ++i) kept.push_back(rest[i * rest.size() / kMostRest]);
    return kept;
}

std::vector<double> places_in(const std::vector<const TpeObservation*>& observations,
                              std::size_t dimension) {
    std::vector<double> places;
    for (const TpeObservation* one : observations) {
        if (one->places[dimension]) places.push_back(*one->places[dimension]);
    }
    return places;
}

}  // namespace

std::vector<double> tpe_places(const SweepSpec& spec,
                               const std::vector<TpeObservation>& observations,
                               std::uint64_t configuration) {
    std::vector<const TpeObservation*> all;
    for (const TpeObservation& one : observations) all.push_back(&one);
    std::ranges::stable_sort(all, [&](const TpeObservation* a, const TpeObservation* b) {
        return spec.metric.goal == SweepGoal::max ? a->metric > b->metric : a->metric < b->metric;
    });
    const auto share =
        static_cast<std::size_t>(std::ceil(kShareOfGood * static_cast<double>(all.size())));
    const auto cut = all.begin() + static_cast<std::ptrdiff_t>(std::min(share, kMostGood));
    const std::vector<const TpeObservation*> good(all.begin(), cut);
    const std::vector<const TpeObservation*> rest = thinned_out({cut, all.end()});
    std::vector<double> places;
    for (std::size_t d = 0; d < spec.space.size(); ++d) {
        CounterRng random(
            {.seed = spec.seed, .step = configuration, .layer = d, .role = RandomRole::sweep});
        const std::size_t count = spec.space[d].values.size();
        if (all.size() < kTpeEvenDraws) {
            places.push_back(random.uniform());
        } else if (count > 0) {
            places.push_back(best_draw(ChoiceDensity(places_in(good, d), count),
                                       ChoiceDensity(places_in(rest, d), count), random));
        } else {
            places.push_back(best_draw(RangeDensity(places_in(good, d)),
                                       RangeDensity(places_in(rest, d)), random));
        }
    }
    return places;
}

}  // namespace dln
