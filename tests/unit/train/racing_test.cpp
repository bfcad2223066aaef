#include "dln/train/racing.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/train/step.hpp"

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::joined;
using testing::knows;
using testing::says;

std::vector<std::size_t> seen(std::size_t count) {
    std::vector<std::size_t> positions(count);
    std::iota(positions.begin(), positions.end(), 0);
    return positions;
}

TEST(StillRacing, DropsWhoTheLeaderSurelyBeats) {
    // Differences 1.0, 1.1, 0.9, 1.0: mean 1, standard error 0.041, t(3; 0.95) = 2.353: bound 0.904.
    const std::vector<ExampleValues> values{
        {-1.0, -1.0, -1.0, -1.0}, {-2.0, -2.1, -1.9, -2.0}, {-1.5, -0.4, -1.5, -1.5}};
    EXPECT_THAT(still_racing(values, {1, 2}, seen(4), 0.05), ElementsAre(2));
    EXPECT_THAT(still_racing(values, {0, 2}, seen(4), 0.05), ElementsAre(0, 2));
}

TEST(StillRacing, KeepsAllWhileTooLittleWasSeen) {
    const std::vector<ExampleValues> values{{-1.0, -1.0}, {-9.0, -9.0}};
    EXPECT_THAT(still_racing(values, {1}, seen(2), 0.05), ElementsAre(1));
}

TEST(StillRacing, ARacerMayLead) {
    const std::vector<ExampleValues> values{
        {-2.0, -2.0, -2.0}, {-1.0, -1.0, -1.0}, {-3.0, -3.0, -3.0}};
    EXPECT_THAT(still_racing(values, {1, 2}, seen(3), 0.05), ElementsAre(1));
}

TEST(StillRacing, WhoLacksAScoreIsOut) {
    const std::vector<ExampleValues> values{{-2.0, -2.0, -2.0}, {-1.0, std::nullopt, -1.0}};
    EXPECT_THAT(still_racing(values, {1}, seen(3), 0.05), IsEmpty());
}

TEST(StillRacing, EqualsStay) {
    const std::vector<ExampleValues> values{{-2.0, -2.0, -2.0}, {-2.0, -2.0, -2.0}};
    EXPECT_THAT(still_racing(values, {1}, seen(3), 0.05), ElementsAre(1));
}

/// `poor` poor prompts and one good one.
Job race_job(SelectMode select, std::size_t poor) {
    Job job = testing::training_job(poor + 1);
    job.train.batch_size = 24;
    job.train.select = select;
    job.train.racing_block = 4;
    return job;
}

StepRecord run(const Job& job, std::size_t poor) {
    std::vector<std::string> replies = knows("Good", -0.1, -3.0);
    for (std::size_t i = 0; i < poor; ++i) {
        const std::string name = "Poor" + std::string(1, static_cast<char>('a' + i));
        const auto more = knows(name, -3.0 - 0.01 * static_cast<double>(i), -0.1);
        replies.insert(replies.end(), more.begin(), more.end());
        replies.push_back(says("PROPOSE m" + std::to_string(i) + " ", name));
    }
    replies.push_back(says("PROPOSE", "Good"));
    const auto incumbent = knows("P", -1.0, -1.0);
    replies.insert(replies.end(), incumbent.begin(), incumbent.end());
    testing::Bench bench(job, {testing::weather(40), {}, {}}, replies);
    return run_step(bench.context(), bench.initial());
}

TEST(Racing, ChoosesAsTheExactComparisonDoes) {
    EXPECT_EQ(testing::chosen_prompt(run(race_job(SelectMode::exact, 8), 8)), "Good");
    EXPECT_EQ(testing::chosen_prompt(run(race_job(SelectMode::racing, 8), 8)), "Good");
}

TEST(Racing, RanksThreeTimesAsManyCandidatesForNoMoreRequests) {
    const std::int64_t exact = run(race_job(SelectMode::exact, 7), 7).usage.calls;
    const std::int64_t racing = run(race_job(SelectMode::racing, 24), 24).usage.calls;
    EXPECT_LE(racing, exact);
}

TEST(Racing, DroppedCandidatesHaveTheirFirstScoresAndCannotWin) {
    Job job = race_job(SelectMode::racing, 3);
    job.scoring.min_scored = 0.1;  // their few scores would do
    const StepRecord record = run(job, 3);
    EXPECT_EQ(testing::chosen_prompt(record), "Good");
    EXPECT_EQ(record.layers[0].scores[0].scored, 24U);
    EXPECT_EQ(record.layers[0].scores[1].scored, 4U);
}

}  // namespace
}  // namespace dln
