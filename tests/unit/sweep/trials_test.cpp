// Trials of a sweep, their jobs, and what is refused in a sweep file.
#include "dln/sweep/trials.hpp"

#include <gmock/gmock.h>

#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class SweepTrials : public SweepFixture {
  protected:
    [[nodiscard]] std::string job_fault(const Json& space) const {
        return fault_of([&] { check_jobs(Trials(grid(space)), kBase); });
    }
};

TEST_F(SweepTrials, SeedsOfAConfigurationFollowOneAnother) {
    const Trials trials(
        sweep({{"space", Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4]}])")},
               {"seeds", {5, 9}}}));
    ASSERT_EQ(trials.size(), 4U);
    EXPECT_EQ(trials.trial(2).configuration, 1U);
    EXPECT_EQ(trials.trial(2).seed, 5U);
    EXPECT_EQ(trials.trial(3).seed, 9U);
    EXPECT_EQ(trials.trial(3).run_dir, directory_ / "runs/000003");
}

TEST_F(SweepTrials, JobIsTheBaseJobWithItsSettings) {
    const SweepSpec spec =
        sweep({{"space", Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4]}])")},
               {"seeds", {5, 9}}});
    const Trial trial = Trials(spec).trial(3);
    const Job job = parse_job(kBase, spec.job_path, overrides_of(spec, trial));
    EXPECT_EQ(job.train.candidates, 4U);
    EXPECT_EQ(job.seed, 9U);
    EXPECT_EQ(job.run_dir, trial.run_dir);
    EXPECT_EQ(job.name, "sweep-1");
    EXPECT_EQ(job.train.steps, parse_job(kBase, spec.job_path).train.steps);
}

TEST_F(SweepTrials, TextsThatLookLikeNumbersStayTexts) {
    const SweepSpec spec =
        grid(Json::parse(R"([{"pointer": "/network/layers/0/prompt", "values": ["12"]}])"));
    const Job job = parse_job(kBase, spec.job_path, overrides_of(spec, Trials(spec).trial(0)));
    EXPECT_EQ(job.network.layers[0].prompts, std::vector<std::string>{"12"});
}

TEST_F(SweepTrials, NumberOutOfRangeIsRefused) {
    const Trials trials(grid(Json::parse(R"([{"pointer": "/seed", "values": [3, 4]}])")));
    EXPECT_EQ(fault_of([&] { static_cast<void>(trials.trial(2)); }),
              "sweep.json: there is no trial 2. Expected 0 to 1.");
}

TEST_F(SweepTrials, CoveringTrialsHaveEachValueAndTheEndsOfRanges) {
    const Trials trials(drawn(Json::parse(R"([{"pointer": "/a", "values": [1, 2, 3]},
                                              {"pointer": "/b", "min": 0, "max": 1}])"),
                              "random", 300));
    double least = 1.0;
    std::uint64_t where = 0;
    for (std::uint64_t i = 0; i < 300; ++i) {
        const auto value = trials.trial(i).settings[1].value.get<double>();
        if (value < least) {
            least = value;
            where = i;
        }
    }
    const auto covering = covering_trials(trials);
    EXPECT_LE(covering.size(), 5U);
    EXPECT_THAT(covering, ::testing::Contains(where));
}

TEST_F(SweepTrials, UnknownFieldIsNamedWithWhatIsThere) {
    const std::string fault =
        job_fault(Json::parse(R"([{"pointer": "/train/candidate", "values": [3]}])"));
    EXPECT_THAT(fault,
                StartsWith("sweep.json: the job of trial 0 (/train/candidate=3) is refused:\n"
                           "base.json: /train/candidate: unknown field."));
    EXPECT_THAT(fault, HasSubstr("Did you mean \"candidates\"?"));
}

TEST_F(SweepTrials, IndexBehindTheListIsRefused) {
    EXPECT_THAT(
        job_fault(Json::parse(R"([{"pointer": "/network/layers/3/few_shot", "values": [3]}])")),
        HasSubstr("the list has 1 entry"));
}

TEST_F(SweepTrials, BadValueIsFoundWhicheverTrialHasIt) {
    EXPECT_THAT(
        job_fault(Json::parse(R"([{"pointer": "/train/batch_size", "values": [1, 2, 3, "x"]}])")),
        HasSubstr("the job of trial 3 (/train/batch_size=\"x\") is refused"));
}

TEST_F(SweepTrials, EndOfARangeThatTheFieldDoesNotTakeIsFound) {
    EXPECT_THAT(job_fault(Json::parse(
                    R"([{"pointer": "/train/candidates", "min": 0, "max": 4, "int": true}])")),
                HasSubstr("/train/candidates: 0 is out of range"));
}

TEST_F(SweepTrials, EachPointOfAGridIsTried) {
    EXPECT_THAT(job_fault(Json::parse(
                    R"([{"pointer": "/train/candidates", "min": 3, "max": 8, "grid": 3}])")),
                HasSubstr("the job of trial 1 (/train/candidates=5.5) is refused"));
}

TEST_F(SweepTrials, MetricWithoutItsDataIsRefusedBeforeAnythingRuns) {
    const std::string base = R"({"data": {"train": "train.jsonl"}, "classes": ["no", "yes"],
        "network": {"layers": [{"prompt": "Even?"}]}, "backend": {"kind": "scripted"}})";
    const SweepSpec spec =
        grid(Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4]}])"));
    EXPECT_THAT(fault_of([&] { check_jobs(Trials(spec), base); }),
                HasSubstr("/data/dev: missing, so no trial has a number at /dev/accuracy"));
    EXPECT_THAT(fault({{"space", Json::parse(R"([{"pointer": "/a", "values": [1]}])")},
                       {"metric", "/dev/acuracy"}}),
                HasSubstr("/metric: no result has a number at \"/dev/acuracy\". Expected "
                          "one of: \"/dev/accuracy\""));
}

TEST_F(SweepTrials, FaultsOfTheFileAreNamedWithTheirPlace) {
    const auto space_fault = [&](const char* space) {
        return fault({{"space", Json::parse(space)}});
    };
    EXPECT_EQ(space_fault("[]").substr(0, 42), "sweep.json: /space: an empty list. Expecte");
    EXPECT_EQ(space_fault(R"([{"pointer": "/a", "min": 2, "max": 1, "grid": 2}])"),
              "sweep.json: /space/0/max: 1 is below \"min\", 2: nothing lies between. Expected at "
              "least 2.");
    EXPECT_EQ(
        space_fault(R"([{"pointer": "/a", "values": [1]}, {"pointer": "/a", "values": [2]}])"),
        "sweep.json: /space/1/pointer: \"/a\" is that of entry 0 too. Expected each field once.");
    EXPECT_THAT(
        space_fault(R"([{"pointer": "/a/b", "values": [1]}, {"pointer": "/a", "values": [2]}])"),
        HasSubstr("lie one in the other"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a"}])"),
                HasSubstr("/space/0/values: empty or missing"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "min": 1, "grid": 2}])"),
                HasSubstr("/space/0/max: missing. A range has both ends"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "values": [1, 2, 1]}])"),
                HasSubstr("/space/0/values/2: the same value as entry 0"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "values": [1], "log": true}])"),
                HasSubstr("/space/0/log: beside \"values\""));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "min": 0, "max": 1, "log": true, "grid": 2}])"),
                HasSubstr("/space/0/min: 0 has no logarithm"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "min": 0.5, "max": 1, "int": true}])"),
                HasSubstr("/space/0/min: 0.5 is no whole number"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "min": 0, "max": 1}])"),
                HasSubstr("/space/0/grid: missing"));
    EXPECT_THAT(space_fault(R"([{"pointer": "a", "values": [1]}])"), HasSubstr("no JSON pointer"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/run_dir", "values": ["x"]}])"),
                HasSubstr("\"/run_dir\" is set by the sweep"));
    EXPECT_THAT(space_fault(R"([{"pointer": "/a", "value": [1]}])"),
                HasSubstr("/space/0/value: unknown field. Expected one of: pointer, values"));
}

TEST_F(SweepTrials, ResolvedSweepIsTheSameSweep) {
    const SweepSpec spec = drawn(Json::parse(R"([{"pointer": "/a", "values": [1, "x"]},
        {"pointer": "/b", "min": 1, "max": 2, "when": {"pointer": "/a", "is": [1]}}])"),
                                 "sobol", 4);
    const std::string resolved = sweep_to_json(spec).dump();
    EXPECT_EQ(sweep_to_json(parse_sweep_file(resolved, directory_ / "other.json")).dump(),
              resolved);
}

TEST_F(SweepTrials, ConditionThatCannotHoldIsRefused) {
    const auto with = [&](const char* when) {
        Json space = Json::parse(
            R"([{"pointer": "/a", "values": ["x", "y"]}, {"pointer": "/b", "values": [1]}])");
        space[1]["when"] = Json::parse(when);
        return fault({{"space", space}});
    };
    EXPECT_EQ(with(R"({"pointer": "/a", "is": ["y"]})"), "");
    EXPECT_THAT(with(R"({"pointer": "/a", "is": ["z"]})"),
                HasSubstr("/space/1/when/is/0: the text \"z\" is no value of /a"));
    EXPECT_THAT(with(R"({"pointer": "/c", "is": [1]})"),
                HasSubstr("/space/1/when/pointer: \"/c\" is no dimension with values further up"));
    EXPECT_THAT(with(R"({"pointer": "/b", "is": [1]})"),
                HasSubstr("no dimension with values further up"));
}

TEST_F(SweepTrials, MethodAndCountMustFit) {
    const Json space = Json::parse(R"([{"pointer": "/a", "values": [1, 2]}])");
    EXPECT_THAT(fault({{"space", space}, {"configurations", 3}}),
                HasSubstr("/configurations: a grid has"));
    EXPECT_THAT(fault({{"space", space}, {"method", "random"}}),
                HasSubstr("/configurations: 0: nothing would be tried"));
    EXPECT_THAT(fault({{"space", space}, {"method", "randon"}, {"configurations", 3}}),
                HasSubstr("Did you mean \"random\"?"));
    EXPECT_THAT(fault({{"space", space},
                       {"method", "random"},
                       {"configurations", 1'000'000},
                       {"seeds", {1, 2}}}),
                HasSubstr("are 2000000 trials. Expected at most 1000000"));
    EXPECT_THAT(fault({{"space", space}, {"seeds", {4, 4}}}), HasSubstr("/seeds/1: 4 twice"));
    EXPECT_THAT(
        fault({{"space", Json::parse(R"([{"pointer": "/seed", "values": [1]}])")}, {"seeds", {4}}}),
        HasSubstr("\"/seed\" beside \"seeds\""));
}

TEST_F(SweepTrials, HalvingMustFitMethodStepsAndCount) {
    const Json space = Json::parse(R"([{"pointer": "/a", "values": [1, 2]}])");
    const auto with = [&](const Json& halving, int count, const std::string& method = "asha") {
        return fault({{"space", space},
                      {"method", method},
                      {"configurations", count},
                      {"halving", halving}});
    };
    EXPECT_EQ(with({{"most_steps", 9}}, 9), "");
    EXPECT_THAT(with({{"most_steps", 9}}, 8),
                HasSubstr("/configurations: 8: none would get to 9 steps. Expected at least 9"));
    EXPECT_THAT(with({{"most_steps", 10}, {"least_steps", 2}}, 8),
                HasSubstr("8: none would get to 10 steps. Expected at least 9"))
        << "2, 6, 10 steps";
    EXPECT_THAT(with({{"most_steps", 9}, {"least_steps", 10}}, 9),
                HasSubstr("/halving/least_steps: 10 is more than \"most_steps\", 9"));
    EXPECT_THAT(with(Json::object(), 9), HasSubstr("/halving/most_steps: missing"));
    EXPECT_THAT(with(nullptr, 9), HasSubstr("/halving: missing"));
    EXPECT_THAT(with({{"most_steps", 9}}, 9, "random"), HasSubstr("/halving: beside another"));
    EXPECT_THAT(with({{"most_steps", 9}}, 9, "hyperband"),
                HasSubstr("/configurations: hyperband has as many as its brackets"));
    EXPECT_EQ(with({{"most_steps", 9}}, 0, "hyperband"), "");
    EXPECT_THAT(fault({{"space", Json::parse(R"([{"pointer": "/train/steps", "values": [1, 2]}])")},
                       {"method", "hyperband"},
                       {"halving", {{"most_steps", 9}}}}),
                HasSubstr("/space/0/pointer: \"/train/steps\" is set by \"halving\""));
}

TEST_F(SweepTrials, HyperbandHasTheConfigurationsOfItsBracketsAndTrialsTheMostSteps) {
    const SweepSpec spec =
        sweep({{"space", Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4]}])")},
               {"method", "hyperband"},
               {"halving", {{"most_steps", 9}}}});
    const Trials trials(spec);
    EXPECT_EQ(trials.configurations(), 9U + 5U + 3U);
    const Job job = parse_job(kBase, directory_ / "base.json", overrides_of(spec, trials.trial(3)));
    EXPECT_EQ(job.train.steps, 9);
}

}  // namespace
}  // namespace dln
