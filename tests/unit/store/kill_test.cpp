// kill -9 at every point of saving a step: what is found afterwards is the old step or the new one, whole.

#include <csignal>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/store/checkpoint_store.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/run_directory.hpp"

#include "sample_step.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::sample_document;
using testing::sample_header;

/// Runs `work` in a child that has DLN_FAILPOINT; returns its wait status.
template <class Work>
int run_with_failpoint(const std::string& failpoint, Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("DLN_FAILPOINT", failpoint.c_str(), 1);
        work();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

bool was_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

class KillDuringSave : public ::testing::TestWithParam<const char*> {};

TEST_P(KillDuringSave, LeavesAUsableStepAndNoRubbish) {
    const testing::TemporaryDirectory directory;
    const auto save = [&](std::int64_t step) {
        make_hdf5_store(directory.path(), "cafe")->save(sample_header(step), sample_document(step));
    };
    save(1);
    // The second passing: steps 2 and 3 are saved, the kill comes during step 3.
    const int status = run_with_failpoint(std::string(GetParam()) + ":2", [&] {
        save(2);
        save(3);
    });
    ASSERT_TRUE(was_killed(status));

    const auto store = make_hdf5_store(directory.path(), "cafe");
    const auto loaded = store->load_newest();
    ASSERT_TRUE(loaded.has_value());
    EXPECT_THAT(loaded->skipped, IsEmpty());
    const std::int64_t wanted = std::string(GetParam()) == "after_rename" ? 3 : 2;
    EXPECT_EQ(loaded->file.header.step, wanted);
    EXPECT_EQ(loaded->file.document.integer("state/step"), wanted);
    save(3);
    EXPECT_THAT(directory.names(), ElementsAre("000001.h5", "000002.h5", "000003.h5"));
}

INSTANTIATE_TEST_SUITE_P(
    Points,
    KillDuringSave,
    ::testing::Values("after_open", "after_write", "after_close", "before_rename", "after_rename"),
    [](const auto& param) { return std::string(param.param); });

TEST(Failpoint, AfterLatestComesWhenLatestIsWritten) {
    const testing::TemporaryDirectory directory;
    const int status = run_with_failpoint("after_latest", [&] {
        RunDirectory run(directory / "run");
        run.create("{}", "cafe", {.forward = "model"});
        run.set_latest(4);
    });
    ASSERT_TRUE(was_killed(status));
    RunDirectory run(directory / "run");
    EXPECT_EQ(run.latest(), "000004.h5");
    run.create("{}", "cafe", {.forward = "model"});  // the killed holder's lock is no obstacle
}

TEST(Failpoint, KillsOnlyAtTheNamedPassing) {
    EXPECT_EQ(run_with_failpoint("step_end:3",
                                 [] {
                                     failpoint("step_end");
                                     failpoint("elsewhere");
                                     failpoint("step_end");
                                 }),
              0);
    EXPECT_TRUE(was_killed(run_with_failpoint("step_end", [] { failpoint("step_end"); })));
    EXPECT_EQ(run_with_failpoint("step", [] { failpoint("step_end"); }), 0);
}

}  // namespace
}  // namespace dln
