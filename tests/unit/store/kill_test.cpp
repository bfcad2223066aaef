// kill -9 at every instant of a write: what is found afterwards is the old content or the new one, whole.

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/run_directory.hpp"

#include "sample_step.hpp"
#include "support/killed_child.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_with_failpoint;
using testing::sample_document;
using testing::sample_header;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;
using testing::was_ended_by;
using testing::was_killed;

/// Every instant of "step.<instant>", "LATEST.<instant>", ...
std::vector<std::string> instants() {
    return {kInstantsOfReplacement.begin(), kInstantsOfReplacement.end()};
}

/// Whether a kill at this instant leaves the new content and not the old one.
bool is_renamed(const std::string& instant) {
    return instant == "after_rename" || instant == "after_directory_fsync";
}

class KillDuringReplacement : public ::testing::TestWithParam<std::string> {};

TEST_P(KillDuringReplacement, OfAStepFileLeavesAUsableStepAndNoRubbish) {
    const testing::TemporaryDirectory directory;
    const auto save = [&](std::int64_t step) {
        make_hdf5_store(directory.path(), "cafe")->save(sample_header(step), sample_document(step));
    };
    save(1);
    // The second passing: steps 2 and 3 are saved, the kill comes during step 3.
    const int status = run_with_failpoint("step." + GetParam() + ":2", [&] {
        save(2);
        save(3);
    });
    ASSERT_TRUE(was_killed(status));

    const auto store = make_hdf5_store(directory.path(), "cafe");
    const auto loaded = store->load_newest();
    ASSERT_TRUE(loaded.has_value());
    EXPECT_THAT(loaded->skipped, IsEmpty());
    const std::int64_t wanted = is_renamed(GetParam()) ? 3 : 2;
    EXPECT_EQ(loaded->file.header.step, wanted);
    EXPECT_EQ(loaded->file.document.integer("state/step"), wanted);
    save(3);
    EXPECT_THAT(directory.names(), ElementsAre("000001.h5", "000002.h5", "000003.h5"));
}

TEST_P(KillDuringReplacement, OfAFileOfTheRunLeavesTheOldOneOrTheNewOne) {
    const testing::TemporaryDirectory directory;
    const auto run_until = [&](const std::string& point, std::int64_t step) {
        return run_with_failpoint(point, [&] {
            RunDirectory run(directory / "run");
            run.create("{}", "cafe", {.forward = "model"});
            run.set_latest(step);
        });
    };
    ASSERT_EQ(run_until("step_end", 4), 0);
    ASSERT_TRUE(was_killed(run_until("LATEST." + GetParam(), 5)));
    RunDirectory run(directory / "run");
    EXPECT_EQ(run.latest(), is_renamed(GetParam()) ? "000005.h5" : "000004.h5");
    run.create("{}", "cafe", {.forward = "model"});  // the killed holder's lock is no obstacle
    EXPECT_EQ(run.latest(), is_renamed(GetParam()) ? "000005.h5" : "000004.h5");
}

INSTANTIATE_TEST_SUITE_P(Instants,
                         KillDuringReplacement,
                         ::testing::ValuesIn(instants()),
                         [](const auto& param) { return param.param; });

TEST(KillDuringAppend, LeavesAtMostAPartOfTheLastLineWhichARestartDrops) {
    for (const std::string_view instant : kInstantsOfAppend) {
        const testing::TemporaryDirectory directory;
        const auto run_until = [&](const std::string& point) {
            return run_with_failpoint(point, [&] {
                RunDirectory run(directory / "run");
                run.create("{}", "cafe", {.forward = "model"});
                run.append_metrics(R"({"step":1})");
                run.append_metrics(R"({"step":2})");
            });
        };
        ASSERT_TRUE(was_killed(run_until("metrics.jsonl." + std::string(instant) + ":2")));
        RunDirectory run(directory / "run");
        run.create("{}", "cafe", {.forward = "model"});
        run.truncate_metrics(1);
        EXPECT_EQ(read_whole_file(run.metrics_path()), "{\"step\":1}\n") << instant;
    }
}

class KillDuringStart : public ::testing::TestWithParam<std::string> {};

TEST_P(KillDuringStart, IsNoObstacleToTheNext) {
    const testing::TemporaryDirectory directory;
    const auto create = [&] {
        RunDirectory run(directory / "run");
        run.check_is_free();
        run.create("{}", "cafe", {.forward = "model"});
    };
    ASSERT_TRUE(was_killed(run_with_failpoint(GetParam(), create)));
    EXPECT_NO_THROW(create());
    const RunDirectory run(directory / "run");
    EXPECT_NO_THROW(run.check_belongs_to("cafe"));
    EXPECT_EQ(run.models().forward, "model");
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(run.path())) {
        names.push_back(entry.path().filename().string());
    }
    EXPECT_THAT(names,
                UnorderedElementsAre("job.hash", "job.json", "journal", "model.id", "steps"));
}

INSTANTIATE_TEST_SUITE_P(Points,
                         KillDuringStart,
                         ::testing::Values("lock.before_append",
                                           "lock.half_appended",
                                           "lock.after_append",
                                           "lock.after_append_fsync",
                                           "run.after_directories",
                                           "model.id.before_open",
                                           "model.id.half_written",
                                           "model.id.after_directory_fsync",
                                           "job.hash.half_written",
                                           "job.hash.after_rename",
                                           "job.json.after_open",
                                           "job.json.after_rename",
                                           "run.after_create",
                                           "lock.before_remove"),
                         [](const auto& param) {
                             std::string name = param.param;
                             std::ranges::replace(name, '.', '_');
                             return name;
                         });

TEST(Failpoint, KillsOnlyAtTheNamedPassing) {
    EXPECT_EQ(run_with_failpoint("step_end:3",
                                 [] {
                                     failpoint("step_end");
                                     failpoint("step_begin");
                                     failpoint("step_end");
                                 }),
              0);
    EXPECT_TRUE(was_killed(run_with_failpoint("step_end", [] { failpoint("step_end"); })));
    EXPECT_EQ(run_with_failpoint("step_begin", [] { failpoint("step_end"); }), 0);
}

TEST(Failpoint, KillsOnlyTheNamedRank) {
    ::setenv("OMPI_COMM_WORLD_RANK", "2", 1);
    EXPECT_TRUE(was_killed(run_with_failpoint("step_end@2", [] { failpoint("step_end"); })));
    EXPECT_EQ(run_with_failpoint("step_end@1", [] { failpoint("step_end"); }), 0);
    ::unsetenv("OMPI_COMM_WORLD_RANK");
    EXPECT_TRUE(was_killed(run_with_failpoint("step_end:1@0", [] { failpoint("step_end"); })));
}

TEST(Failpoint, AsksToStopAtTheNamedPassing) {
    const auto pass_twice = [] {
        failpoint("step_end");
        failpoint("step_end");
    };
    const char* const variable = "DLN_FAILPOINT_STOP";
    EXPECT_TRUE(was_ended_by(run_with_failpoint("step_end:2", pass_twice, variable), SIGUSR1));
    EXPECT_EQ(run_with_failpoint("step_end:3", pass_twice, variable), 0);
    const auto heed = [&] {
        ::signal(SIGUSR1, SIG_IGN);
        ::setenv("DLN_FAILPOINT", "step_end:2", 1);
        pass_twice();
    };
    EXPECT_TRUE(was_killed(run_with_failpoint("step_end:2", heed, variable))) << "both at one";
}

TEST(Failpoint, OfNoSuchNameOrNumberIsRefusedWithTheList) {
    for (const char* wrong : {"after_lunch", "step_end:0", "step_end:x", "step_end@-1", ""}) {
        ::setenv("DLN_FAILPOINT", wrong, 1);
        EXPECT_THAT(&check_failpoint, ThrowsMessage<UsageError>(AllOf(
                                          HasSubstr(std::string("=") + wrong + ":"),
                                          HasSubstr("step.after_write"), HasSubstr("before_save"))))
            << wrong;
    }
    for (const std::string& name : failpoint_names()) {
        ::setenv("DLN_FAILPOINT", (name + ":2@1").c_str(), 1);
        EXPECT_NO_THROW(check_failpoint());
    }
    ::unsetenv("DLN_FAILPOINT");
    EXPECT_NO_THROW(check_failpoint());
    ::setenv("DLN_FAILPOINT_STOP", "after_lunch", 1);
    EXPECT_THAT(&check_failpoint, ThrowsMessage<UsageError>(
                                      HasSubstr("DLN_FAILPOINT_STOP=after_lunch: there is no")));
    ::unsetenv("DLN_FAILPOINT_STOP");
}

}  // namespace
}  // namespace dln
