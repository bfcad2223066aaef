// What a sweep leaves, and which changes of its files are refused.
#include "dln/sweep/sweep_directory.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "dln/store/failpoint.hpp"
#include "dln/sweep/progress.hpp"

#include "support/killed_child.hpp"
#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_with_failpoint;
using testing::was_killed;

const auto kCompact = ::testing::UnorderedElementsAre(
    "job.hash", "job.json", "model.id", "prompts.json", "result.json");

class Directory : public SweepFixture {
  protected:
    [[nodiscard]] Job base(const std::vector<Override>& set = {}) const {
        return parse_job(kBase, directory_ / "base.json", set);
    }
    [[nodiscard]] static Json two() {
        return Json::parse(R"([{"pointer": "/train/candidates", "values": [3, 4]}])");
    }
    [[nodiscard]] SweepDirectory begun() const {
        SweepDirectory made(directory_ / "runs");
        made.begin(grid(two()), base());
        return made;
    }
    void make_run(const std::string& name, bool complete) const {
        std::filesystem::create_directories(directory_ / "runs/" + name);
        testing::write_bytes(directory_ / "runs/" + name + "/job.hash", "x\n");
        if (complete) testing::write_bytes(directory_ / "runs/" + name + "/result.json", "{}\n");
    }
    void make_finished_run() const {
        make_run("000000", true);
        const std::string run = directory_ / "runs/000000";
        std::filesystem::create_directories(run + "/steps");
        for (const char* name : {"job.json", "model.id", "prompts.json", "LATEST", "metrics.jsonl",
                                 "steps/000001.h5", "steps/000002.h5"}) {
            testing::write_bytes(run + "/" + name, "");
        }
    }
    /// Names of all files below it.
    [[nodiscard]] static std::vector<std::string> files_in(const std::string& place) {
        std::vector<std::string> files;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
            if (entry.is_regular_file()) files.push_back(entry.path().filename().string());
        }
        return files;
    }
    template <class Work>
    [[nodiscard]] std::string refusal(Work work) const {
        return fault_of(work);
    }
};

TEST_F(Directory, SameSweepGoesOn) {
    const SweepDirectory made = begun();
    EXPECT_TRUE(made.holds_sweep());
    EXPECT_EQ(refusal([&] { made.begin(grid(two()), base()); }), "");
}

TEST_F(Directory, ChangedSpaceIsRefusedWithWhatDiffers) {
    const SweepDirectory made = begun();
    Json other = two();
    other[0]["values"][1] = 5;
    const std::string told = refusal([&] { made.begin(grid(other), base()); });
    EXPECT_THAT(told, HasSubstr("sweep.json: not what the sweep in runs was begun with:\n"
                                "  /space/0/values/1: was 4, is 5\n"));
    other[0]["values"].push_back(6);
    EXPECT_THAT(refusal([&] { made.begin(grid(other), base()); }),
                HasSubstr("/space/0/values: was [3,4], is [3,5,6]"));
}

TEST_F(Directory, ChangedBaseJobIsRefusedWithWhatDiffers) {
    const SweepDirectory made = begun();
    const auto with = [&](const std::vector<Override>& set) {
        return refusal([&] { made.check_unchanged(grid(two()), base(set)); });
    };
    EXPECT_THAT(with({{"/train/batch_size", "7"}}),
                HasSubstr("base.json: not what the sweep in runs was begun with:\n"
                          "  /train/batch_size: was 20, is 7\n"));
    EXPECT_THAT(with({{"/train/steps", "7"}}), HasSubstr("/train/steps: was 10, is 7"));
    EXPECT_EQ(with({{"/budget/requests", "7"}}), "") << "no part of what is trained";
}

TEST_F(Directory, MoreConfigurationsAndAnotherMetricAreNoChange) {
    const SweepDirectory made(directory_ / "runs");
    made.begin(drawn(two(), "random", 5), base());
    SweepSpec more = drawn(two(), "random", 8);
    more.metric.pointer = "/test/accuracy";
    EXPECT_EQ(refusal([&] { made.begin(more, base()); }), "");
    EXPECT_THAT(refusal([&] { made.begin(drawn(two(), "random", 5), base()); }),
                HasSubstr("/configurations: was 8, is 5"));
}

TEST_F(Directory, AnotherMetricIsAChangeWhereDecisionsWereMadeByIt) {
    const SweepDirectory made(directory_ / "runs");
    made.begin(drawn(two(), "tpe", 5), base());
    EXPECT_EQ(refusal([&] { made.check_unchanged(drawn(two(), "tpe", 8), base()); }), "");
    SweepSpec other = drawn(two(), "tpe", 5);
    other.metric.pointer = "/dev/log_likelihood";
    EXPECT_THAT(refusal([&] { made.check_unchanged(other, base()); }),
                HasSubstr("/metric/pointer: was \"/dev/accuracy\", is \"/dev/log_likelihood\""));
}

TEST_F(Directory, FailureIsKeptUntilTheTrialIsBegunAgain) {
    const SweepDirectory made = begun();
    made.record_failure(1, {.exit_code = 3, .reason = "no server"});
    ASSERT_EQ(made.failures().size(), 1U);
    EXPECT_EQ(made.failures().at(1).reason, "no server");
    EXPECT_EQ(made.failures().at(1).exit_code, 3);
    made.forget_failure(1);
    EXPECT_TRUE(made.failures().empty());
}

TEST_F(Directory, DamagedFailureIsStillOne) {
    const SweepDirectory made = begun();
    made.record_failure(1, {.exit_code = 3, .reason = "no server"});
    testing::write_bytes(directory_ / "runs/failures/000001.json", "{");
    EXPECT_THAT(made.failures().at(1).reason, HasSubstr("damaged"));
}

TEST_F(Directory, ProgressIsToldFromTheTrialsFiles) {
    SweepDirectory made(directory_ / "runs");
    const Trials trials(drawn(two(), "random", 5));
    EXPECT_EQ(read_progress(trials, made).count(TrialState::waiting), 5U) << "not begun";
    made.begin(trials.spec(), base());
    make_run("000000", true);
    make_run("000001", false);
    make_run("000002", false);
    made.record_failure(2, {.exit_code = 1, .reason = "disk"});
    made.record_failure(3, {.exit_code = 2, .reason = "data"});
    made.record_failure(0, {.exit_code = 2, .reason = "of an earlier try"});
    make_run("000009", true);
    const SweepProgress progress = read_progress(trials, made);
    EXPECT_THAT(progress.states,
                ElementsAre(TrialState::finished, TrialState::stopped, TrialState::failed,
                            TrialState::failed, TrialState::waiting));
    EXPECT_EQ(progress.count(TrialState::failed), 2U);
}

TEST_F(Directory, CompactedRunKeepsFiveFiles) {
    make_finished_run();
    const std::string run = directory_ / "runs/000000";
    compact_run(run);
    EXPECT_THAT(files_in(run), kCompact);
}

TEST_F(Directory, CompactingGoesOnAfterAKill) {
    for (const char* file : {"step", "metrics.jsonl", "LATEST"}) {
        for (const std::string_view instant : kInstantsOfRemoval) {
            const std::string point = fmt::format("{}.{}", file, instant);
            const std::string run = directory_ / "runs/000000";
            make_finished_run();
            ASSERT_TRUE(was_killed(run_with_failpoint(point, [&] { compact_run(run); }))) << point;
            compact_run(run);
            EXPECT_THAT(files_in(run), kCompact) << point;
        }
    }
}

TEST_F(Directory, KillWhileItsFilesAreWrittenLeavesNothingToTheNext) {
    const SweepDirectory made(directory_ / "runs");
    const auto work = [&] {
        made.begin(grid(two()), base());
        made.record_failure(1, {.exit_code = 3, .reason = "no server"});
    };
    const auto names = ::testing::UnorderedElementsAre("sweep.json", "job.json", "000001.json");
    for (const char* file : {"job.json", "sweep.json", "failure"}) {
        for (const std::string_view instant : kInstantsOfReplacement) {
            std::filesystem::remove_all(made.path());
            const std::string point = fmt::format("{}.{}", file, instant);
            ASSERT_TRUE(was_killed(run_with_failpoint(point, work))) << point;
            EXPECT_EQ(refusal(work), "") << point;
            EXPECT_THAT(files_in(made.path()), names) << point;
        }
    }
}

}  // namespace
}  // namespace dln
