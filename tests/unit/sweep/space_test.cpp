// Which configurations a sweep has.
#include "dln/sweep/space.hpp"

#include <cmath>
#include <set>

#include <boost/random/sobol.hpp>
#include <gmock/gmock.h>

#include "sweep/sobol.hpp"
#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

class Space : public SweepFixture {
  protected:
    [[nodiscard]] static std::vector<std::string> all(const SweepSpec& spec) {
        const SearchSpace space(spec);
        std::vector<std::string> texts;
        for (std::uint64_t i = 0; i < space.size(); ++i) {
            texts.push_back(short_text(space.configuration(i)));
        }
        return texts;
    }
    static constexpr int kMany = 2000;
};

TEST_F(Space, GridHasEveryCombinationAndTheLastDimensionChangesFastest) {
    EXPECT_THAT(
        all(grid(Json::parse(
            R"([{"pointer": "/a", "values": [1, 2]}, {"pointer": "/b", "values": ["x", "y"]}])"))),
        ElementsAre("a=1 b=\"x\"", "a=1 b=\"y\"", "a=2 b=\"x\"", "a=2 b=\"y\""));
}

TEST_F(Space, GridOfARangeHasBothEnds) {
    EXPECT_THAT(all(grid(Json::parse(R"([{"pointer": "/a", "min": 0.5, "max": 1.5, "grid": 3}])"))),
                ElementsAre("a=0.5", "a=1.0", "a=1.5"));
}

TEST_F(Space, GridOfALogarithmicRangeGoesByFactors) {
    const SearchSpace space(
        grid(Json::parse(R"([{"pointer": "/a", "min": 0.01, "max": 1, "log": true, "grid": 3}])")));
    EXPECT_NEAR(space.configuration(1)[0].value.get<double>(), 0.1, 1e-12);
    EXPECT_EQ(space.configuration(2)[0].value, 1.0);
}

TEST_F(Space, GridOfWholeNumbersHasEachOfThemOnce) {
    EXPECT_THAT(all(grid(Json::parse(R"([{"pointer": "/a", "min": -1, "max": 2, "int": true}])"))),
                ElementsAre("a=-1", "a=0", "a=1", "a=2"));
    EXPECT_THAT(all(grid(Json::parse(
                    R"([{"pointer": "/a", "min": 1, "max": 3, "int": true, "grid": 9}])"))),
                ElementsAre("a=1", "a=2", "a=3"));
}

TEST_F(Space, GridCountsAConfigurationOnceWhereADimensionDoesNotCount) {
    EXPECT_THAT(all(grid(Json::parse(R"([
        {"pointer": "/a", "values": ["plain", "race"]},
        {"pointer": "/b", "values": [1, 2], "when": {"pointer": "/a", "is": ["race"]}},
        {"pointer": "/c", "values": [7, 8]}])"))),
                ElementsAre("a=\"plain\" c=7", "a=\"plain\" c=8", "a=\"race\" b=1 c=7",
                            "a=\"race\" b=1 c=8", "a=\"race\" b=2 c=7", "a=\"race\" b=2 c=8"));
}

TEST_F(Space, GridOfNestedConditionsHasDistinctConfigurationsOnly) {
    const auto texts = all(grid(Json::parse(R"([
        {"pointer": "/a", "values": [0, 1]},
        {"pointer": "/b", "values": [0, 1, 2], "when": {"pointer": "/a", "is": [1]}},
        {"pointer": "/c", "values": [0, 1], "when": {"pointer": "/b", "is": [1, 2]}},
        {"pointer": "/d", "values": [0, 1], "when": {"pointer": "/a", "is": [1]}}])")));
    EXPECT_EQ(texts.size(), 1U + (1U + 2U + 2U) * 2U);
    EXPECT_EQ(std::set(texts.begin(), texts.end()).size(), texts.size());
}

TEST_F(Space, GridThatIsTooLargeIsRefusedBeforeItIsBuilt) {
    const auto two = Json::parse(R"([{"pointer": "/a", "min": 1, "max": 1e12, "int": true},
                                     {"pointer": "/b", "min": 1, "max": 1e12, "int": true}])");
    EXPECT_THAT(fault({{"space", two}}), HasSubstr("more than 1000000 configurations"));
    const auto product = Json::parse(R"([{"pointer": "/a", "min": 1, "max": 999999, "int": true},
                                         {"pointer": "/b", "min": 1, "max": 999999, "int": true}])");
    EXPECT_THAT(fault({{"space", product}}), HasSubstr("more than 1000000 configurations"));
}

TEST_F(Space, RandomConfigurationDependsOnSeedAndNumberAlone) {
    const auto space = Json::parse(R"([{"pointer": "/a", "min": 0, "max": 1}])");
    const SearchSpace few(drawn(space, "random", 5));
    const SearchSpace many(drawn(space, "random", 50));
    EXPECT_EQ(few.configuration(4), many.configuration(4));
    EXPECT_NE(few.configuration(3), few.configuration(4));
    SweepSpec other = drawn(space, "random", 5);
    other.seed = 1;
    EXPECT_NE(few.configuration(4), SearchSpace(other).configuration(4));
}

TEST_F(Space, WholeNumbersAreDrawnWithBothEndsEquallyOften) {
    for (const char* method : {"random", "sobol"}) {
        const SearchSpace space(drawn(
            Json::parse(R"([{"pointer": "/a", "min": 3, "max": 5, "int": true}])"), method, kMany));
        std::map<std::int64_t, int> seen;
        for (int i = 0; i < kMany; ++i) {
            ++seen[space.configuration(static_cast<std::uint64_t>(i))[0].value.get<std::int64_t>()];
        }
        ASSERT_EQ(seen.size(), 3U) << method;
        for (const auto& [value, count] : seen)
            EXPECT_NEAR(count, kMany / 3, 90) << method << value;
    }
}

TEST_F(Space, LogarithmicRangeIsEvenOverFactors) {
    const SearchSpace space(
        drawn(Json::parse(R"([{"pointer": "/a", "min": 0.001, "max": 10, "log": true}])"), "sobol",
              kMany));
    int below = 0;
    for (int i = 0; i < kMany; ++i) {
        const auto value =
            space.configuration(static_cast<std::uint64_t>(i))[0].value.get<double>();
        EXPECT_THAT(value, AllOf(Ge(0.001), Le(10.0)));
        below += value < 0.1 ? 1 : 0;
    }
    EXPECT_NEAR(below, kMany / 2, kMany / 50);
}

TEST_F(Space, LogarithmicWholeNumbersReachBothEnds) {
    const SearchSpace space(
        drawn(Json::parse(R"([{"pointer": "/a", "min": 1, "max": 4, "log": true, "int": true}])"),
              "random", 500));
    std::set<std::int64_t> seen;
    for (std::uint64_t i = 0; i < 500; ++i) {
        seen.insert(space.configuration(i)[0].value.get<std::int64_t>());
    }
    EXPECT_EQ(seen, (std::set<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(Space, DrawnDimensionIsThereExactlyWhereItsConditionHolds) {
    const SearchSpace space(drawn(Json::parse(R"([
        {"pointer": "/a", "values": [0, 1]},
        {"pointer": "/b", "min": 0, "max": 1, "when": {"pointer": "/a", "is": [1]}}])"),
                                  "random", 100));
    std::set<std::size_t> sizes;
    for (std::uint64_t i = 0; i < 100; ++i) {
        const Configuration one = space.configuration(i);
        EXPECT_EQ(one.size(), one[0].value == 1 ? 2U : 1U);
        sizes.insert(one.size());
    }
    EXPECT_EQ(sizes.size(), 2U);
}

TEST(Sobol, PointIsThatOfASequentialDraw) {
    constexpr std::size_t kDimensions = 3;
    const auto bits_of = [](double place) {
        return static_cast<std::uint64_t>(std::ldexp(place, 53));
    };
    boost::random::sobol sequence(kDimensions);
    // The first point is the origin, shifted; Boost begins with the second one.
    const std::vector<double> shift = sobol_point(kDimensions, 0, 7);
    for (std::uint64_t i = 1; i < 100; ++i) {
        const std::vector<double> point = sobol_point(kDimensions, i, 7);
        for (std::size_t d = 0; d < kDimensions; ++d) {
            EXPECT_EQ(bits_of(point[d]) ^ bits_of(shift[d]), sequence() >> 11U) << i << " " << d;
        }
    }
}

TEST(Sobol, EveryBlockOfAPowerOfTwoIsEven) {
    std::set<int> first;
    std::set<int> second;
    for (std::uint64_t i = 64; i < 128; ++i) {
        const std::vector<double> point = sobol_point(2, i, 3);
        first.insert(static_cast<int>(point[0] * 64));
        second.insert(static_cast<int>(point[1] * 64));
    }
    EXPECT_EQ(first.size(), 64U);
    EXPECT_EQ(second.size(), 64U);
}

TEST(Sobol, SeedShiftsThePoints) { EXPECT_NE(sobol_point(1, 5, 1), sobol_point(1, 5, 2)); }

}  // namespace
}  // namespace dln
