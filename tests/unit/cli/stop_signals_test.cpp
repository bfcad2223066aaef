#include "cli/stop_signals.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(StopSignals, FirstSignalIsRememberedOnceDeferred) {
    for (const int number : {SIGUSR1, SIGTERM, SIGINT}) {
        const StopSignals signals;
        StopSignals::defer();
        EXPECT_THAT(StopSignals::received(), IsEmpty());
        std::raise(number);
        EXPECT_EQ(StopSignals::received(), "SIG" + std::string(sigabbrev_np(number)));
    }
}

TEST(StopSignalsDeathTest, SignalThatIsNotDeferredEndsTheProcessWith75) {
    const auto be_signalled = [] {
        const StopSignals signals;
        std::raise(SIGUSR1);
    };
    EXPECT_EXIT(be_signalled(), ::testing::ExitedWithCode(75), "");
}

TEST(StopSignalsDeathTest, SecondInterruptKills) {
    const auto interrupt_twice = [] {
        const StopSignals signals;
        StopSignals::defer();
        std::raise(SIGINT);
        std::raise(SIGINT);
    };
    EXPECT_EXIT(interrupt_twice(), ::testing::KilledBySignal(SIGINT), "");
}

TEST(StopSignalsDeathTest, SignalsMeanWhatTheyDidBeforeWhenTheObjectIsGone) {
    const auto be_terminated = [] {
        { const StopSignals signals; }
        std::raise(SIGTERM);
    };
    EXPECT_EXIT(be_terminated(), ::testing::KilledBySignal(SIGTERM), "");
}

class StopTimeTest : public ::testing::Test {
  protected:
    void TearDown() override { ::unsetenv("SLURM_JOB_END_TIME"); }
    static void job_ends_in(std::chrono::seconds time) {
        using std::chrono::system_clock;
        const auto end = system_clock::to_time_t(system_clock::now() + time);
        ::setenv("SLURM_JOB_END_TIME", std::to_string(end).c_str(), 1);
    }
};

TEST_F(StopTimeTest, WithoutLimitsIsNeverReached) {
    EXPECT_THAT(StopTime(0.0).reached(), IsEmpty());
}

TEST_F(StopTimeTest, HoursAreReached) {
    const StopTime time(1e-13);
    EXPECT_EQ(time.reached(), "--max-hours 1e-13");
    EXPECT_THAT(StopTime(10.0).reached(), IsEmpty());
}

TEST_F(StopTimeTest, SlurmJobsEndIsReachedAMinuteBefore) {
    job_ends_in(std::chrono::seconds(62));
    const StopTime time(10.0);
    while (time.reached().empty()) {
    }
    EXPECT_THAT(time.reached(), HasSubstr("end of the Slurm job"));
    job_ends_in(std::chrono::hours(2));
    EXPECT_THAT(StopTime(0.0).reached(), IsEmpty());
}

TEST_F(StopTimeTest, SlurmJobsEndThatHasPassedOrIsNoNumberCountsAsNone) {
    job_ends_in(std::chrono::seconds(30));
    EXPECT_THAT(StopTime(0.0).reached(), IsEmpty());
    for (const char* text : {"", "soon", "12x", "-5"}) {
        ::setenv("SLURM_JOB_END_TIME", text, 1);
        EXPECT_THAT(StopTime(0.0).reached(), IsEmpty()) << text;
    }
}

}  // namespace
}  // namespace dln
