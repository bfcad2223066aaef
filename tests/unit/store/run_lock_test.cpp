// Whose lock is respected and whose is taken over, and what a writer notices that lost its own.

#include "store/run_lock.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::read_bytes;
using ::testing::ThrowsMessage;
using testing::write_bytes;

class RunLockTest : public ::testing::Test {
  protected:
    void SetUp() override {
        ::setenv("SLURM_JOB_ID", "77", 1);
        ::setenv("SLURM_RESTART_COUNT", "1", 1);
    }
    void TearDown() override {
        ::unsetenv("SLURM_JOB_ID");
        ::unsetenv("SLURM_RESTART_COUNT");
    }
    std::string path() const { return directory_ / "lock"; }

    /// The lock of a live process, this one, with other values in some fields.
    void locked_by(const nlohmann::json& changes) const {
        std::string text;
        {
            const RunLock lock(path());
            text = read_bytes(path());
        }
        auto json = nlohmann::json::parse(text);
        json.update(changes);
        write_bytes(path(), json.dump() + "\n");
    }
    void be_silent_for(std::chrono::seconds time) const {
        fs::last_write_time(path(), fs::file_time_type::clock::now() - time);
    }
    void expect_respected() const {
        const std::string before = read_bytes(path());
        EXPECT_THROW(RunLock{path()}, UsageError);
        EXPECT_EQ(read_bytes(path()), before);
    }
    void expect_taken_over() const {
        const std::string before = read_bytes(path());
        const RunLock lock(path());
        EXPECT_NE(read_bytes(path()), before);
    }

  private:
    testing::TemporaryDirectory directory_;
};

TEST_F(RunLockTest, OfALiveProcessIsRespectedHoweverLongItIsSilent) {
    const RunLock lock(path());
    be_silent_for(std::chrono::hours(1));
    expect_respected();
}

TEST_F(RunLockTest, OfAnEarlierBootOfThisHostIsTakenOver) {
    locked_by({{"boot_id", "earlier"}});
    expect_taken_over();
}

TEST_F(RunLockTest, OfAnotherContainerIsTakenOverOnlyAfterSilence) {
    locked_by({{"process_namespace", "pid:[1]"}});
    expect_respected();
    be_silent_for(RunLock::kSilence + std::chrono::seconds(5));
    expect_taken_over();
}

TEST_F(RunLockTest, OfAnotherHostIsTakenOverOnlyAfterSilence) {
    locked_by({{"host", "n9"}, {"boot_id", "other"}, {"job_id", "12"}});
    be_silent_for(RunLock::kSilence - std::chrono::seconds(60));
    expect_respected();
    be_silent_for(RunLock::kSilence + std::chrono::seconds(5));
    expect_taken_over();
}

TEST_F(RunLockTest, OfTheSameJobIsTakenOverOnlyWhenItWasRequeued) {
    locked_by({{"host", "n9"}, {"boot_id", "other"}});
    expect_respected();  // another step of the same job
    fs::remove(path());
    locked_by({{"host", "n9"}, {"boot_id", "other"}, {"restart", "0"}});
    expect_taken_over();
}

TEST_F(RunLockTest, OfAnotherJobIsRespectedWhateverItsRestartCount) {
    locked_by({{"host", "n9"}, {"boot_id", "other"}, {"job_id", "12"}, {"restart", "0"}});
    expect_respected();
}

TEST_F(RunLockTest, WithoutAJobIsRespectedBySomeoneWithoutOne) {
    locked_by({{"host", "n9"}, {"boot_id", "other"}, {"job_id", ""}, {"restart", "0"}});
    ::unsetenv("SLURM_JOB_ID");
    expect_respected();
}

TEST_F(RunLockTest, ThatIsTornIsTakenOver) {
    write_bytes(path(), "{\"host\":\"n");
    expect_taken_over();
}

TEST_F(RunLockTest, ThatCannotBeReadIsTakenOverOnlyAfterSilence) {
    for (const char* text : {"\n", "[]\n", "{\"host\":7}\n"}) {
        write_bytes(path(), text);
        EXPECT_THAT([this] { RunLock{path()}; },
                    ThrowsMessage<UsageError>(
                        AllOf(HasSubstr("by an unknown process"), HasSubstr("remove " + path()))));
        be_silent_for(RunLock::kSilence + std::chrono::seconds(5));
        expect_taken_over();
    }
}

TEST_F(RunLockTest, IsTouchedWhileTheWriterLives) {
    RunLock lock(path(), std::chrono::seconds(0));
    be_silent_for(std::chrono::hours(1));
    lock.keep_alive();
    const auto silence = fs::file_time_type::clock::now() - fs::last_write_time(path());
    EXPECT_LT(silence, std::chrono::minutes(30));
}

TEST_F(RunLockTest, ThatSomeoneElseTookEndsTheWriterAndStaysTheirs) {
    for (const bool is_gone : {false, true}) {
        fs::remove(path());
        {
            RunLock lock(path(), std::chrono::seconds(0));
            auto json = nlohmann::json::parse(read_bytes(path()));
            json["pid"] = 1;
            write_bytes(path(), json.dump() + "\n");
            if (is_gone) fs::remove(path());
            EXPECT_THAT(
                [&] { lock.keep_alive(); },
                ThrowsMessage<Error>(AllOf(HasSubstr(path()), HasSubstr("another process"))));
        }
        EXPECT_EQ(fs::exists(path()), !is_gone);
    }
}

/// Starts a process that takes the lock when `gate` closes, tells whether it did, and holds it until `end` closes.
pid_t start_taker(const std::string& path,
                  std::array<int, 2> gate,
                  std::array<int, 2> told,
                  std::array<int, 2> end) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::close(gate[1]);
    ::close(end[1]);
    char mark = 0;
    static_cast<void>(::read(gate[0], &mark, 1));
    try {
        const RunLock lock(path);
        static_cast<void>(::write(told[1], "y", 1));
        static_cast<void>(::read(end[0], &mark, 1));
    } catch (const UsageError&) {
        static_cast<void>(::write(told[1], "n", 1));
    }
    ::_exit(0);
}

/// How many of six processes that start at once get the lock.
long takers_of(const std::string& path) {
    std::array<std::array<int, 2>, 3> pipes{};
    for (auto& pipe : pipes) {
        if (::pipe(pipe.data()) != 0) return -1;
    }
    auto& [gate, told, end] = pipes;
    std::array<pid_t, 6> takers{};
    for (pid_t& taker : takers) taker = start_taker(path, gate, told, end);
    ::close(gate[1]);
    std::string answers(takers.size(), ' ');
    for (char& answer : answers) {
        if (::read(told[0], &answer, 1) != 1) answer = '?';
    }
    ::close(end[1]);
    for (const pid_t taker : takers) ::waitpid(taker, nullptr, 0);
    for (const int fd : {gate[0], told[0], told[1], end[0]}) ::close(fd);
    return std::ranges::count(answers, 'y');
}

TEST_F(RunLockTest, OfTheDeadIsTakenByOneOfManyThatStartAtOnce) {
    for (int round = 0; round < 20; ++round) {
        locked_by({{"process_start", "1"}});
        ASSERT_EQ(takers_of(path()), 1) << "round " << round;
        ASSERT_FALSE(fs::exists(path()));
    }
}

TEST_F(RunLockTest, ClaimOfAStarterThatDiedIsNoObstacle) {
    for (const bool is_torn : {false, true}) {
        locked_by({{"process_start", "1"}});
        const std::string dead = read_bytes(path());
        write_bytes(path() + ".tmp-claim", is_torn ? "" : dead);
        EXPECT_EQ(takers_of(path()), 1);
        EXPECT_FALSE(fs::exists(path() + ".tmp-claim"));
    }
}

}  // namespace
}  // namespace dln
