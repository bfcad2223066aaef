// What is made of the results of trials.
#include "dln/sweep/results.hpp"

#include <gmock/gmock.h>

#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;

class Results : public SweepFixture {
  protected:
    void finish(std::uint64_t trial, double accuracy, std::int64_t steps = 0) const {
        const std::string run = directory_ / "runs/" + trial_directory_name(trial);
        std::filesystem::create_directories(run);
        testing::write_bytes(run + "/result.json",
                             Json{{"steps_done", steps},
                                  {"dev", {{"accuracy", accuracy}}},
                                  {"spent", {{"requests", 10}, {"prompt_tokens", 100}}},
                                  {"measured", {{"recalled", 4}, {"seconds", 1.5}}}}
                                 .dump());
    }
    [[nodiscard]] SweepSpec spec(const std::string& metric = "/dev/accuracy") const {
        return sweep(
            {{"space", Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4, 5]}])")},
             {"seeds", {1, 2}},
             {"metric", metric}});
    }
    [[nodiscard]] SweepResults read(const SweepSpec& of) const {
        return read_results(Trials(of), SweepDirectory(directory_ / "runs"));
    }
};

TEST_F(Results, MeanAndIntervalAreOverSeeds) {
    finish(0, 0.5);
    finish(1, 0.7);
    const SweepResults results = read(spec());
    const ConfigurationResult& first = results.configurations[0];
    EXPECT_TRUE(first.is_complete());
    EXPECT_DOUBLE_EQ(*first.mean, 0.6);
    EXPECT_NEAR(first.interval->high, 0.6 + 12.7062047 * 0.1, 1e-6);  // t of one degree of freedom
    EXPECT_EQ(first.cost.requests, 20);
    EXPECT_EQ(results.cost.recalled, 8);
    EXPECT_DOUBLE_EQ(results.cost.seconds, 3.0);
    EXPECT_FALSE(results.configurations[1].mean);
}

TEST_F(Results, BestHasAllItsSeeds) {
    finish(0, 0.5);
    finish(1, 0.7);
    finish(2, 0.9);  // the other seed is still to come
    finish(4, 0.6);
    finish(5, 0.8);
    const SweepResults results = read(spec());
    const auto order = ranked(results, spec());
    ASSERT_EQ(order.size(), 2U);
    EXPECT_EQ(order[0]->configuration, 2U);
    SweepSpec least = spec();
    least.metric.goal = SweepGoal::min;
    EXPECT_EQ(ranked(results, least)[0]->configuration, 0U);
}

TEST_F(Results, EqualMeansStayInTheirOrder) {
    for (std::uint64_t trial = 0; trial < 6; ++trial) finish(trial, 0.5);
    EXPECT_EQ(ranked(read(spec()), spec())[0]->configuration, 0U);
}

TEST_F(Results, WithHalvingTheMostStepsComeFirst) {
    const SweepSpec halving =
        sweep({{"space", Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4, 5]}])")},
               {"method", "asha"},
               {"configurations", 5},
               {"halving", {{"most_steps", 9}, {"reduction", 2}, {"least_steps", 3}}},
               {"seeds", {1, 2}}});
    finish(0, 0.9, 3);
    finish(1, 0.9, 3);
    finish(2, 0.5, 9);
    finish(3, 0.5, 9);
    finish(4, 0.6, 9);
    finish(5, 0.6, 9);
    finish(6, 0.8, 9);
    finish(7, 0.8, 6);  // on its way up
    const SweepResults results = read(halving);
    std::vector<std::uint64_t> order;
    for (const auto* one : ranked(results, halving)) order.push_back(one->configuration);
    EXPECT_EQ(order, (std::vector<std::uint64_t>{2, 1, 0}));
}

TEST_F(Results, TrialHasEndedWhenItHasTheStepsThatItWasGiven) {
    finish(0, 0.9, 3);
    Trial trial{.run_dir = directory_ / "runs/000000", .pause_after = 3};
    EXPECT_EQ(read_ended_metric(trial, {}), 0.9);
    trial.pause_after = 9;
    EXPECT_EQ(read_ended_metric(trial, {}), std::nullopt);
    trial.run_dir += "1";
    EXPECT_EQ(read_ended_metric(trial, {}), std::nullopt);
}

TEST_F(Results, MetricThatNoTrialReportsIsRefusedWithWhatTheyReport) {
    EXPECT_EQ(fault_of([&] { static_cast<void>(read(spec("/spent/request"))); }), "")
        << "none finished";
    finish(0, 0.5);
    const std::string told = fault_of([&] { static_cast<void>(read(spec("/spent/request"))); });
    EXPECT_THAT(told, HasSubstr("none of the 1 finished trials has a number at /spent/request"));
    EXPECT_THAT(told, HasSubstr("Did you mean \"/spent/requests\"?"));
}

TEST_F(Results, DamagedResultIsNamed) {
    finish(0, 0.5);
    testing::write_bytes(directory_ / "runs/000000/result.json", "{");
    EXPECT_THAT(fault_of([&] { static_cast<void>(read(spec())); }),
                HasSubstr("runs/000000/result.json: is no JSON object"));
}

}  // namespace
}  // namespace dln
