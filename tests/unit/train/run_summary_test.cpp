#include "dln/train/run_summary.hpp"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::write_bytes;

/// A run directory as a complete run leaves it; each test changes what it is about.
class RunSummaryTest : public ::testing::Test {
  protected:
    RunSummaryTest() {
        fs::create_directories(path());
        write_bytes(path() + "/job.hash", "cafe\n");
        write_bytes(path() + "/model.id", "model 1\n");
    }
    std::string path() const { return directory_ / "runs/nav"; }
    void write() {
        write_bytes(path() + "/job.json", job_.dump());
        if (!result_.is_null()) write_bytes(path() + "/result.json", result_.dump());
    }
    RunSummary read() {
        write();
        return read_run_summary(path());
    }
    void expect_refused(const std::string& file, const std::string& reason) {
        try {
            (void)read_run_summary(path());
            ADD_FAILURE() << "not refused: " << reason;
        } catch (const UsageError& error) {
            EXPECT_THAT(error.what(),
                        AllOf(HasSubstr(file), HasSubstr(reason), HasSubstr("train command")));
        }
    }
    std::string above() const { return directory_ / "runs"; }

    json job_{{"name", "nav"}, {"seed", 7}, {"train", {{"steps", 4}}}};
    json result_{{"steps_done", 4},
                 {"test",
                  {{"examples", 4},
                   {"measured", 3},
                   {"accuracy", 0.5},
                   {"log_likelihood", -0.25},
                   {"right", "1001"},
                   {"data_sha256", "abc"}}},
                 {"spent", {{"requests", 10}, {"prompt_tokens", 100}, {"generated_tokens", 20}}},
                 {"measured", {{"seconds", 1.5}}}};

  private:
    testing::TemporaryDirectory directory_;
};

TEST_F(RunSummaryTest, CompleteRunTellsResultAndCosts) {
    const RunSummary run = read();
    EXPECT_EQ(run.name, "nav");
    EXPECT_EQ(run.seed, 7U);
    EXPECT_EQ(run.job_hash, "cafe");
    EXPECT_EQ(run.model, "model 1");
    EXPECT_EQ(run.state, RunState::complete);
    EXPECT_EQ(run.steps_done, 4);
    ASSERT_TRUE(run.test.has_value());
    EXPECT_EQ(run.test->right, 2);
    EXPECT_EQ(run.test->accuracy(), 0.5);
    EXPECT_EQ(run.test->log_likelihood, -0.25);
    EXPECT_THAT(run.test->right_by_example, ElementsAre(true, false, false, true));
    EXPECT_EQ(run.test->data_sha256, "abc");
    EXPECT_EQ(run.spent, (Spending{10, 100, 20, 0, 1.5}));
    EXPECT_FALSE(run.money.has_value());
}

TEST_F(RunSummaryTest, PausedRunHasItsCostsAndIsUnfinished) {
    result_["steps_done"] = 3;
    result_.erase("test");
    const RunSummary run = read();
    EXPECT_EQ(run.state, RunState::unfinished);
    EXPECT_EQ(run.steps_done, 3);
    EXPECT_FALSE(run.test.has_value());
    EXPECT_EQ(run.spent, (Spending{10, 100, 20, 0, 1.5}));
}

TEST_F(RunSummaryTest, SlashesAtTheEndDoNotCount) {
    write();
    EXPECT_EQ(read_run_summary(path() + "//").path, path());
}

TEST_F(RunSummaryTest, OlderResultLacksWhatPairedTestsNeed) {
    for (const char* name : {"right", "data_sha256", "measured"}) result_["test"].erase(name);
    result_.erase("spent");
    const RunSummary run = read();
    EXPECT_EQ(run.test->right, 2);
    EXPECT_THAT(run.test->right_by_example, IsEmpty());
    EXPECT_THAT(run.test->data_sha256, IsEmpty());
    EXPECT_FALSE(run.spent.has_value());
}

TEST_F(RunSummaryTest, NothingMeasuredHasNoFigures) {
    result_["test"]["measured"] = 0;
    const RunSummary run = read();
    EXPECT_FALSE(run.test->right.has_value());
    EXPECT_FALSE(run.test->log_likelihood.has_value());
}

TEST_F(RunSummaryTest, RunWithoutResultIsUnfinished) {
    result_ = json();
    const RunSummary run = read();
    EXPECT_EQ(run.state, RunState::unfinished);
    EXPECT_FALSE(run.steps_done.has_value());
    EXPECT_FALSE(run.spent.has_value());
    write_bytes(path() + "/spent.json", "{}");
    EXPECT_EQ(read().state, RunState::out_of_budget);
}

TEST_F(RunSummaryTest, DamagedStepFileIsNoHindrance) {
    result_ = json();
    fs::create_directories(path() + "/steps");
    write_bytes(path() + "/steps/000003.h5", "no step");
    EXPECT_FALSE(read().steps_done.has_value());
}

TEST_F(RunSummaryTest, DamagedFilesAreRefusedWithPlaceAndRemedy) {
    for (const char* file : {"/job.json", "/result.json"}) {
        for (const char* text : {"", "{\"a\": ", "[1]", "null"}) {
            write();
            write_bytes(path() + file, text);
            expect_refused(file, "is no JSON object");
        }
    }
    write();
    fs::remove(path() + "/job.json");
    expect_refused("/job.json", "No such file");
}

TEST_F(RunSummaryTest, FieldsThatCannotBeAreRefusedWithTheirPlace) {
    struct Fault {
        const char* place;
        json value;
        const char* reason;
    };
    for (const Fault& fault : {Fault{"/steps_done", -1, "/steps_done is no whole number"},
                               Fault{"/steps_done", "x", "/steps_done is no whole number"},
                               Fault{"/test", 1, "/test/examples is missing"},
                               Fault{"/test/examples", json(), "/test/examples is no whole number"},
                               Fault{"/test/accuracy", 1.5, "/test/accuracy is not from 0 to 1"},
                               Fault{"/test/accuracy", "1", "/test/accuracy is no number"},
                               Fault{"/test/right", "10a1", "/test/right has other characters"},
                               Fault{"/test/right", "100", "/test/right has not one character"},
                               Fault{"/test/right", "1011", "/test/right contradicts"},
                               Fault{"/test/right", 1, "/test/right is no text"},
                               Fault{"/spent/requests", 0.5, "/spent/requests is no whole number"},
                               Fault{"/measured/seconds", "1", "/measured/seconds is no number"}}) {
        const json before = result_;
        result_[json::json_pointer(fault.place)] = fault.value;
        write();
        expect_refused("/result.json", fault.reason);
        result_ = before;
    }
    job_["train"].erase("steps");
    write();
    expect_refused("/job.json", "/train/steps is missing");
}

TEST_F(RunSummaryTest, WhatIsNoRunIsRefused) {
    write();
    const std::map<std::string, std::string> faults{
        {above() + "/none", "no such directory"},
        {path() + "/job.json", "is no directory"},
        {path() + "/steps", "no such directory"},
        {above(), "There are runs below it: give " + above() + "/* or " + path()}};
    for (const auto& [place, reason] : faults) {
        try {
            (void)read_run_summary(place);
            ADD_FAILURE() << "not refused: " << place;
        } catch (const UsageError& error) {
            EXPECT_THAT(error.what(), AllOf(HasSubstr(place), HasSubstr(reason)));
        }
    }
}

TEST_F(RunSummaryTest, NothingIsWritten) {
    result_ = json();
    write();
    fs::create_directories(path() + "/steps");
    write_bytes(path() + "/steps/000003.h5.tmp-nowhere-1", "");
    (void)read_run_summary(path());
    EXPECT_TRUE(fs::exists(path() + "/steps/000003.h5.tmp-nowhere-1"));
    EXPECT_FALSE(fs::exists(path() + "/lock"));
}

}  // namespace
}  // namespace dln
