// Trials of an adaptive sweep, from its decisions.
#include "dln/sweep/adaptive_trials.hpp"

#include <gmock/gmock.h>

#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class AdaptiveTrialsTest : public SweepFixture {
  protected:
    void SetUp() override {
        SweepFixture::SetUp();
        std::filesystem::create_directories(directory_ / "runs");
    }
    /// Two configurations after 1 step, of which one gets 2; two seeds.
    [[nodiscard]] SweepSpec spec() const {
        return sweep({{"space", Json::parse(R"([{"pointer": "/a", "min": 0, "max": 1}])")},
                      {"method", "asha"},
                      {"configurations", 2},
                      {"halving", {{"most_steps", 2}, {"reduction", 2}}},
                      {"seeds", {5, 6}}});
    }
    [[nodiscard]] Decisions taken(const Trials& trials) const {
        Decisions decisions(trials.spec(), SweepDirectory(directory_ / "runs"));
        decisions.take();
        return decisions;
    }
    static std::optional<double> none(const Trial& /*trial*/) { return std::nullopt; }
    [[nodiscard]] std::string log() const {
        return testing::read_bytes(directory_ / "runs/decisions.jsonl");
    }
    static std::vector<std::uint64_t> all_ready(AdaptiveTrials& source) {
        std::vector<std::uint64_t> numbers;
        while (const auto trial = source.next()) numbers.push_back(trial->number);
        return numbers;
    }
};

TEST_F(AdaptiveTrialsTest, WaitsForWhatIsBeingTrainedAndGoesOnWithTheBest) {
    const Trials trials(spec());
    AdaptiveTrials source(trials, taken(trials), none);
    const auto first = source.next();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->pause_after, 1);
    EXPECT_EQ(first->seed, 5U);
    EXPECT_THAT(all_ready(source), ElementsAre(1, 2, 3));
    source.ended(0, 0.5);
    source.ended(1, 0.7);
    source.ended(2, 0.9);
    EXPECT_EQ(source.next(), std::nullopt);
    EXPECT_FALSE(source.is_exhausted());
    source.ended(3, 0.1);  // mean 0.5 against 0.6
    const auto promoted = source.next();
    ASSERT_TRUE(promoted.has_value());
    EXPECT_EQ(promoted->number, 0U);
    EXPECT_EQ(promoted->pause_after, 2);
    EXPECT_THAT(all_ready(source), ElementsAre(1));
    source.ended(1, 0.8);
    EXPECT_FALSE(source.is_exhausted());
    source.ended(0, 0.8);
    EXPECT_TRUE(source.is_exhausted());
}

TEST_F(AdaptiveTrialsTest, SeedThatFailsMakesItsConfigurationTheWorst) {
    const Trials trials(spec());
    AdaptiveTrials source(trials, taken(trials), none);
    static_cast<void>(all_ready(source));
    source.ended(0, 0.9);
    source.ended(1, std::nullopt);
    source.ended(2, 0.1);
    source.ended(3, 0.1);
    EXPECT_THAT(all_ready(source), ElementsAre(2, 3));
}

TEST_F(AdaptiveTrialsTest, TrialsThatEndedBeforeAKillAreNotRunAgain) {
    const Trials trials(spec());
    {
        AdaptiveTrials source(trials, taken(trials), none);
        static_cast<void>(all_ready(source));
        source.ended(2, 0.9);  // the log does not know before its other seed has ended
    }
    AdaptiveTrials source(trials, taken(trials), [](const Trial& trial) -> std::optional<double> {
        EXPECT_EQ(trial.pause_after, 1);
        if (trial.number == 0) return std::nullopt;
        return 0.5;
    });
    EXPECT_THAT(all_ready(source), ElementsAre(0));
    EXPECT_THAT(log(), HasSubstr(R"("event":"observe","configuration":1)"));
    EXPECT_THAT(log(), Not(HasSubstr(R"("event":"observe","configuration":0)")));
}

TEST_F(AdaptiveTrialsTest, MeanDoesNotDependOnTheOrderInWhichSeedsEnd) {
    SweepSpec three = spec();
    three.seeds = {1, 2, 3};
    const Trials trials(three);
    std::vector<std::string> logs;
    for (const std::vector<std::uint64_t>& order :
         {std::vector<std::uint64_t>{0, 1, 2}, {2, 0, 1}}) {
        AdaptiveTrials source(trials, taken(trials), none);
        static_cast<void>(all_ready(source));
        for (const std::uint64_t seed : order)
            source.ended(seed, 0.1 * static_cast<double>(seed * seed + 1));
        logs.push_back(log());
        std::filesystem::remove(directory_ / "runs/decisions.jsonl");
    }
    EXPECT_EQ(logs[0], logs[1]);
}

}  // namespace
}  // namespace dln
