// The run directory: who may write it, what it refuses, and files that are whole after a restart.

#include "dln/store/run_directory.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"

#include "support/temporary_directory.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::read_bytes;
using ::testing::ThrowsMessage;
using testing::write_bytes;

class RunDirectoryTest : public ::testing::Test {
  protected:
    std::string path() const { return directory_ / "runs/nav"; }
    RunDirectory created() {
        RunDirectory run(path());
        run.create("{\"a\": 1}\n", "cafe", {.forward = "model"});
        return run;
    }
    const testing::TemporaryDirectory& parent() const { return directory_; }

  private:
    testing::TemporaryDirectory directory_;
};

TEST_F(RunDirectoryTest, TouchesNothingUntilCreated) {
    const RunDirectory run(path());
    run.check_writable();
    run.check_belongs_to("cafe");
    EXPECT_FALSE(run.holds_run());
    EXPECT_FALSE(run.latest().has_value());
    EXPECT_THAT(parent().names(), IsEmpty());
}

TEST_F(RunDirectoryTest, CreateMakesTheLayout) {
    const RunDirectory run = created();
    EXPECT_TRUE(run.holds_run());
    EXPECT_TRUE(fs::is_directory(run.steps_path()));
    EXPECT_TRUE(fs::is_directory(run.journal_path()));
    EXPECT_EQ(read_bytes(run.file("job.json")), "{\"a\": 1}\n");
    EXPECT_TRUE(fs::exists(run.file("lock")));
}

TEST_F(RunDirectoryTest, StepFilesAreListedInTheOrderOfSteps) {
    EXPECT_THAT(RunDirectory(path()).step_files(), IsEmpty());
    const RunDirectory run = created();
    for (const char* name : {"1000000.h5", "000002.h5", "999999.h5", "000003.h5.tmp-host-1"}) {
        write_bytes(run.steps_path() + "/" + name, "");
    }
    EXPECT_THAT(run.step_files(),
                ElementsAre(run.steps_path() + "/000002.h5", run.steps_path() + "/999999.h5",
                            run.steps_path() + "/1000000.h5"));
}

TEST_F(RunDirectoryTest, CheckWritableLeavesNothingBehindInAnExistingRun) {
    static_cast<void>(created());
    const auto before = fs::last_write_time(path() + "/job.json");
    RunDirectory(path()).check_writable();
    EXPECT_EQ(fs::last_write_time(path() + "/job.json"), before);
    for (const auto& entry : fs::directory_iterator(path())) {
        EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("tmp")));
    }
}

TEST_F(RunDirectoryTest, CheckWritableNamesTheObstacle) {
    write_bytes(parent() / "runs", "a file");
    EXPECT_THAT(
        [this] { RunDirectory(path()).check_writable(); },
        ThrowsMessage<UsageError>(AllOf(HasSubstr(path()), HasSubstr("/runs is no directory"))));
    EXPECT_THAT([] { RunDirectory("/proc/dln/run").check_writable(); },
                ThrowsMessage<UsageError>(HasSubstr("cannot write in /proc")));
}

TEST_F(RunDirectoryTest, CheckWritableSeesTheFoldersOfTheRun) {
    const RunDirectory run = created();
    for (const std::string& folder : {run.steps_path(), run.journal_path()}) {
        fs::remove_all(folder);
        write_bytes(folder, "a file");
        EXPECT_THAT([&] { run.check_writable(); },
                    ThrowsMessage<UsageError>(HasSubstr(folder + " is no directory")));
        fs::remove(folder);
        fs::create_directory_symlink("/proc", folder);  // where even root cannot make a file
        EXPECT_THAT([&] { run.check_writable(); },
                    ThrowsMessage<UsageError>(HasSubstr("cannot write in " + folder)));
        fs::remove(folder);
    }
}

TEST_F(RunDirectoryTest, FolderWithOtherFilesIsRefused) {
    fs::create_directories(path());
    write_bytes(path() + "/notes.txt", "mine");
    EXPECT_THAT([this] { RunDirectory(path()).check_is_free(); },
                ThrowsMessage<UsageError>(
                    AllOf(HasSubstr(path()), HasSubstr("\"notes.txt\") and no run"))));
}

TEST_F(RunDirectoryTest, EmptyFolderAndInterruptedStartAreFree) {
    RunDirectory(path()).check_is_free();
    fs::create_directories(path() + "/steps");
    fs::create_directories(path() + "/journal");
    for (const char* name : {"/lock", "/model.id", "/.gitkeep", "/job.hash.tmp-host-1"}) {
        write_bytes(path() + name, "");
    }
    RunDirectory(path()).check_is_free();
}

TEST_F(RunDirectoryTest, RunIsFreeForItsJobWhateverLiesBeside) {
    const RunDirectory run = created();
    write_bytes(run.file("train.log"), "mine");
    run.check_is_free();
}

TEST_F(RunDirectoryTest, AnotherJobsRunIsRefusedWithTheRemedyAndWhatDiffers) {
    static_cast<void>(created());
    EXPECT_NO_THROW(RunDirectory(path()).check_belongs_to("cafe"));
    const auto is_refused = ThrowsMessage<UsageError>(
        AllOf(HasSubstr("run_dir " + path() + " holds the run of another job: compare " + path() +
                        "/job.json with your job file"),
              HasSubstr("--set"), HasSubstr("another run_dir")));
    EXPECT_THAT([this] { RunDirectory(path()).check_belongs_to("beef"); }, is_refused);
    EXPECT_THAT([this] { RunDirectory(path()).create("{}", "beef", {.forward = "model"}); },
                is_refused);
    const auto tell = [](const std::string& begun) { return "  of " + begun.substr(0, 8); };
    EXPECT_THAT(
        [&] { RunDirectory(path()).check_belongs_to("beef", tell); },
        ThrowsMessage<UsageError>(HasSubstr(
            "of another job. What differs:\n  of {\"a\": 1}\nA run that was begun with --set")));
    EXPECT_EQ(read_bytes(path() + "/job.json"), "{\"a\": 1}\n");
    EXPECT_FALSE(fs::exists(path() + "/lock"));
}

TEST_F(RunDirectoryTest, AnotherModelIsRefusedWithBothModelsAndTheRemedy) {
    static_cast<void>(created());
    EXPECT_THAT(
        [this] { RunDirectory(path()).create("{}", "cafe", {.forward = "other"}); },
        ThrowsMessage<UsageError>(AllOf(HasSubstr(path()), HasSubstr("with the model model"),
                                        HasSubstr("names other"), HasSubstr("another run_dir"))));
    EXPECT_EQ(read_bytes(path() + "/job.json"), "{\"a\": 1}\n");
}

TEST_F(RunDirectoryTest, AnotherBackwardModelIsRefusedToo) {
    const auto create = [this](const RunModels& models) {
        RunDirectory(path()).create("{}", "cafe", models);
    };
    create({.forward = "model", .backward = "writer"});
    EXPECT_EQ(read_bytes(path() + "/model.id"), "model\nwriter\n");
    EXPECT_EQ(RunDirectory(path()).models().backward, "writer");
    create({.forward = "model", .backward = "writer"});
    EXPECT_THAT([&] { create({.forward = "model", .backward = "other"}); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr("with the backward model writer"),
                                                HasSubstr("/backward_backend names other"))));
    EXPECT_THAT([&] { create({.forward = "other", .backward = "writer"}); },
                ThrowsMessage<UsageError>(HasSubstr("/backend names other")));
}

TEST_F(RunDirectoryTest, EmbeddingModelIsTheRunsToo) {
    const auto create = [this](const RunModels& models) {
        RunDirectory(path()).create("{}", "cafe", models);
    };
    create({.forward = "model", .backward = {}, .embedding = "ngrams"});
    EXPECT_EQ(read_bytes(path() + "/model.id"), "model\n\nngrams\n");
    EXPECT_EQ(RunDirectory(path()).models().backward, "");
    EXPECT_EQ(RunDirectory(path()).models().embedding, "ngrams");
    EXPECT_THAT([&] { create({.forward = "model", .backward = {}, .embedding = "other"}); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr("with the embedding model ngrams"),
                                                HasSubstr("/embedding names other"))));
}

TEST_F(RunDirectoryTest, CreateAgainTakesTheRunUpAndRenewsJobJson) {
    static_cast<void>(created());
    RunDirectory run(path());
    run.create("{\"a\": 2}\n", "cafe", {.forward = "model"});
    EXPECT_EQ(read_bytes(run.file("job.json")), "{\"a\": 2}\n");
}

TEST_F(RunDirectoryTest, SecondWriterIsToldWhoWrites) {
    const RunDirectory first = created();
    EXPECT_THAT([this] { static_cast<void>(created()); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr(path()),
                                                HasSubstr("process " + std::to_string(::getpid())),
                                                HasSubstr("lock"))));
    EXPECT_TRUE(fs::exists(first.file("lock")));
}

TEST_F(RunDirectoryTest, LockIsGivenBackAtTheEnd) {
    static_cast<void>(created());
    EXPECT_FALSE(fs::exists(path() + "/lock"));
    EXPECT_NO_THROW(static_cast<void>(created()));
}

TEST_F(RunDirectoryTest, LockOfAKilledWriterIsTakenOver) {
    const pid_t child = ::fork();
    if (child == 0) {
        const RunDirectory run = created();
        ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(fs::exists(path() + "/lock"));
    EXPECT_NO_THROW(static_cast<void>(created()));
}

TEST_F(RunDirectoryTest, LockOfAProcessWithAReusedNumberIsTakenOver) {
    std::string lock;
    {
        const RunDirectory run = created();
        lock = read_bytes(run.file("lock"));
    }
    const std::string key = "\"process_start\":\"";
    lock.insert(lock.find(key) + key.size(), "1");
    write_bytes(path() + "/lock", lock);
    EXPECT_NO_THROW(static_cast<void>(created()));
}

TEST_F(RunDirectoryTest, LockWhoseMakerDiedBeforeWritingItIsTakenOver) {
    fs::create_directories(path());
    write_bytes(path() + "/lock", "");
    EXPECT_NO_THROW(static_cast<void>(created()));
}

class LockOfAnotherHost : public RunDirectoryTest {
  protected:
    void SetUp() override {
        ::setenv("SLURM_JOB_ID", "77", 1);
        ::setenv("SLURM_RESTART_COUNT", "1", 1);
        fs::create_directories(path());
    }
    void TearDown() override {
        ::unsetenv("SLURM_JOB_ID");
        ::unsetenv("SLURM_RESTART_COUNT");
    }
    void lock_with_job(const std::string& job) const {
        write_bytes(path() + "/lock",
                    R"({"host":"n9","pid":1,"process_start":"5","boot_id":"other","job_id":")" +
                        job + "\"}\n");
    }
};

TEST_F(LockOfAnotherHost, IsRespectedWhileItIsTouched) {
    lock_with_job("12");
    EXPECT_THAT([this] { static_cast<void>(created()); },
                ThrowsMessage<UsageError>(
                    AllOf(HasSubstr("host n9"), HasSubstr("Slurm job 12"), HasSubstr("300 s"))));
    EXPECT_THAT(read_bytes(path() + "/lock"), HasSubstr("n9"));
}

TEST_F(LockOfAnotherHost, IsTakenOverAfterSilence) {
    lock_with_job("12");
    fs::last_write_time(path() + "/lock",
                        fs::file_time_type::clock::now() - std::chrono::minutes(6));
    EXPECT_NO_THROW(static_cast<void>(created()));
}

TEST_F(LockOfAnotherHost, IsTakenOverByTheSameJobRequeued) {
    lock_with_job("77");
    EXPECT_NO_THROW(static_cast<void>(created()));
}

TEST_F(RunDirectoryTest, LatestNamesTheStepFile) {
    RunDirectory run = created();
    run.set_latest(12);
    EXPECT_EQ(run.latest(), "000012.h5");
    run.set_latest(1'234'567);
    EXPECT_EQ(read_bytes(run.file("LATEST")), "1234567.h5\n");
}

TEST_F(RunDirectoryTest, MetricsAreAppendedALineEach) {
    RunDirectory run = created();
    run.append_metrics(R"({"step":0})");
    run.append_metrics(R"({"step":1})");
    EXPECT_EQ(read_bytes(run.metrics_path()), "{\"step\":0}\n{\"step\":1}\n");
    EXPECT_THROW(run.append_metrics("a\nb"), InternalError);
}

TEST_F(RunDirectoryTest, ResumeDropsMetricsOfStepsThatAreRedone) {
    RunDirectory run = created();
    run.truncate_metrics(5);  // nothing there yet
    for (const char* line : {R"({"note":"no step"})", R"({"step":-1})", R"({"step":0,"x":1})",
                             R"({"step":1})", R"({"step":2})"}) {
        run.append_metrics(line);
    }
    durable_append(run.metrics_path(), R"({"step":1,"torn)");
    run.truncate_metrics(1);
    EXPECT_EQ(read_bytes(run.metrics_path()),
              "{\"note\":\"no step\"}\n{\"step\":-1}\n{\"step\":0,\"x\":1}\n{\"step\":1}\n");
    run.truncate_metrics(-1);
    EXPECT_EQ(read_bytes(run.metrics_path()), "{\"note\":\"no step\"}\n{\"step\":-1}\n");
}

TEST_F(RunDirectoryTest, ResumeDropsTheFinalEvaluationWhichIsRedone) {
    RunDirectory run = created();
    run.append_metrics(R"({"step":2,"split":"dev"})");
    run.append_metrics(R"({"step":2,"split":"test"})");
    run.truncate_metrics(2);
    EXPECT_EQ(read_bytes(run.metrics_path()), "{\"step\":2,\"split\":\"dev\"}\n");
}

TEST_F(RunDirectoryTest, DamagedMetricsLineIsDropped) {
    RunDirectory run = created();
    run.append_metrics("no json");
    run.append_metrics(R"({"step":0})");
    run.truncate_metrics(0);
    EXPECT_EQ(read_bytes(run.metrics_path()), "{\"step\":0}\n");
}

TEST_F(RunDirectoryTest, FilesAreReplacedWhole) {
    RunDirectory run = created();
    run.write_file("prompts.json", "first");
    run.write_file("prompts.json", "second");
    EXPECT_EQ(read_bytes(run.file("prompts.json")), "second");
}

TEST(DurableWrite, FileBeyondTheSizeLimitLeavesTheOldContentAndNoTemporaryFile) {
    const testing::TemporaryDirectory directory;
    durable_write(directory / "a", "old");
    std::string message;
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1000, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    try {
        durable_write(directory / "a", std::string(5000, 'n'));
    } catch (const Error& error) {
        message = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old_handler);
    EXPECT_THAT(message,
                AllOf(HasSubstr(directory / "a"), HasSubstr("write failed: File too large")));
    EXPECT_THAT(directory.names(), ElementsAre("a"));
    EXPECT_EQ(read_bytes(directory / "a"), "old");
}

TEST(DurableWrite, WorksOnAPathWithoutDirectory) {
    const testing::TemporaryDirectory directory;
    const fs::path before = fs::current_path();
    fs::current_path(directory.path());
    durable_write("plain", "x");
    fs::current_path(before);
    EXPECT_EQ(read_bytes(directory / "plain"), "x");
}

}  // namespace
}  // namespace dln
