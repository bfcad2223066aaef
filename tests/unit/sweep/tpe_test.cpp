#include "dln/sweep/tpe.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/random/counter_rng.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Lt;

SweepSpec spec_of(std::vector<SweepDimension> space) {
    SweepSpec spec;
    spec.space = std::move(space);
    spec.seed = 3;
    return spec;
}
SweepDimension range(const std::string& pointer) {
    return {.pointer = pointer, .min = 0.0, .max = 1.0};
}
SweepDimension choice(const std::string& pointer, std::size_t count) {
    SweepDimension dimension{.pointer = pointer};
    for (std::size_t i = 0; i < count; ++i) dimension.values.emplace_back(i);
    return dimension;
}

/// The mean metric of the last half of `count` configurations, each drawn knowing those before it.
template <class Metric>
double mean_of_later(const SweepSpec& spec, std::size_t count, bool learns, const Metric& metric) {
    std::vector<TpeObservation> observed;
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::vector<double> places = tpe_places(spec, observed, i);
        EXPECT_THAT(places, Each(AllOf(Ge(0.0), Lt(1.0))));
        const double value = metric(places);
        if (i >= count / 2) sum += value;
        if (learns) observed.push_back({{places.begin(), places.end()}, value});
    }
    return sum / static_cast<double>(count - count / 2);
}

double near_a_third(const std::vector<double>& places) {
    return -std::abs(places[0] - 1.0 / 3.0) - std::abs(places[1] - 0.7);
}

TEST(Tpe, DrawsMostlyWhereGoodConfigurationsWere) {
    SweepSpec spec = spec_of({range("/a"), range("/b")});
    for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
        spec.seed = seed;
        const double even = mean_of_later(spec, 80, false, near_a_third);
        EXPECT_GT(mean_of_later(spec, 80, true, near_a_third), even + 0.2) << "seed " << seed;
    }
}

TEST(Tpe, LessIsBetterWhereTheGoalIsTheLeast) {
    SweepSpec spec = spec_of({range("/a"), range("/b")});
    spec.metric.goal = SweepGoal::min;
    const auto distance = [](const std::vector<double>& places) { return -near_a_third(places); };
    EXPECT_LT(mean_of_later(spec, 80, true, distance),
              mean_of_later(spec, 80, false, distance) - 0.2);
}

TEST(Tpe, ChoosesTheBestOfSeveralValues) {
    const SweepSpec spec = spec_of({choice("/a", 8)});
    const auto is_fifth = [](const std::vector<double>& places) {
        return places[0] >= 0.625 && places[0] < 0.75 ? 1.0 : 0.0;
    };
    EXPECT_GT(mean_of_later(spec, 80, true, is_fifth), 0.6);
    EXPECT_LT(mean_of_later(spec, 80, false, is_fifth), 0.3);
}

// Of a dimension that did not count nothing was learned.
TEST(Tpe, PlacesOfDimensionsThatDidNotCountAreLeftOut) {
    const SweepSpec spec = spec_of({choice("/a", 2), range("/b")});
    std::vector<TpeObservation> observed;
    for (int i = 0; i < 20; ++i) observed.push_back({{0.25, std::nullopt}, 1.0 * i});
    std::vector<double> without;
    for (std::uint64_t i = 0; i < 200; ++i) without.push_back(tpe_places(spec, observed, i)[1]);
    const auto low = std::ranges::count_if(without, [](double place) { return place < 0.5; });
    EXPECT_GT(low, 70);
    EXPECT_LT(low, 130);
}

TEST(Tpe, IsAFunctionOfItsArguments) {
    const SweepSpec spec = spec_of({range("/a"), choice("/b", 3)});
    std::vector<TpeObservation> observed;
    for (int i = 0; i < 30; ++i) observed.push_back({{i / 30.0, (i % 3) / 3.0}, 1.0 * (i % 7)});
    EXPECT_EQ(tpe_places(spec, observed, 30), tpe_places(spec, observed, 30));
    EXPECT_NE(tpe_places(spec, observed, 30), tpe_places(spec, observed, 31));
}

TEST(Tpe, EqualPlacesAndEqualMetricsAreNoTrouble) {
    const SweepSpec spec = spec_of({range("/a")});
    const std::vector<TpeObservation> observed(40, {{0.0}, 1.0});
    for (std::uint64_t i = 0; i < 50; ++i) {
        EXPECT_THAT(tpe_places(spec, observed, i), Each(AllOf(Ge(0.0), Lt(1.0))));
    }
}

}  // namespace
}  // namespace dln
