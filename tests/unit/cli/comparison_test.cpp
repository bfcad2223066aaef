#include "cli/comparison.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"

#include "cli/comparison_report.hpp"

namespace dln {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

/// A complete run whose answers are `right`, '1' for each right one.
RunSummary run_of(const std::string& path,
                  const std::string& right,
                  const std::string& name = "a",
                  std::uint64_t seed = 1) {
    TestSummary test{.examples = static_cast<std::int64_t>(right.size()),
                     .measured = static_cast<std::int64_t>(right.size()),
                     .right = std::ranges::count(right, '1'),
                     .log_likelihood = -0.5,
                     .data_sha256 = "abcabcabcabcabc"};
    for (const char answer : right) test.right_by_example.push_back(answer == '1');
    return {.path = path,
            .name = name,
            .seed = seed,
            .steps = 3,
            .job_hash = fmt::format("{} {}", name, seed),
            .model = "model",
            .job_json = json{{"name", name}, {"seed", seed}, {"train", {{"steps", 3}}}}.dump(),
            .state = RunState::complete,
            .steps_done = 3,
            .test = test,
            .spent = Spending{.requests = 1'000, .seconds = 3'600.0}};
}

RunSummary unfinished(const std::string& path, const std::string& name = "a") {
    RunSummary run = run_of(path, "1", name);
    run.state = RunState::unfinished;
    run.steps_done = 2;
    run.test.reset();
    return run;
}

std::vector<std::string> reasons(const Comparison& comparison) {
    std::vector<std::string> all;
    for (const LeftOut& left : comparison.left_out) {
        all.push_back(comparison.runs[left.run].path + ": " + left.why);
    }
    return all;
}

TEST(CompareRuns, TestsEachRunAgainstTheBaselineOnTheSameExamples) {
    const auto comparison = compare_runs(
        {run_of("x", "00000000"), run_of("base", "00001111"), run_of("y", "11111111")}, 1, false);
    ASSERT_THAT(comparison.paired, SizeIs(2));
    const PairedRow& worse = comparison.paired[0];
    EXPECT_EQ(worse.run, 0U);
    EXPECT_EQ(worse.bootstrap.difference, -0.5);
    EXPECT_EQ(worse.mcnemar.only_first, 4U);
    EXPECT_EQ(worse.mcnemar.only_second, 0U);
    EXPECT_DOUBLE_EQ(worse.mcnemar_p.raw, 2.0 / 16.0);
    const PairedRow& better = comparison.paired[1];
    EXPECT_EQ(better.run, 2U);
    EXPECT_EQ(better.bootstrap.difference, 0.5);
    EXPECT_EQ(better.mcnemar.only_second, 4U);
}

TEST(CompareRuns, AdjustsEachTestForAllComparisonsOfTheTable) {
    // McNemar's p: 2/64 and 2/8, of two comparisons.
    const auto comparison = compare_runs(
        {run_of("base", "000000"), run_of("x", "111111"), run_of("y", "111000")}, 0, false);
    EXPECT_DOUBLE_EQ(comparison.paired[0].mcnemar_p.raw, 2.0 / 64.0);
    EXPECT_DOUBLE_EQ(comparison.paired[0].mcnemar_p.holm, 4.0 / 64.0);
    EXPECT_DOUBLE_EQ(comparison.paired[1].mcnemar_p.holm, 2.0 / 8.0);
    EXPECT_DOUBLE_EQ(comparison.paired[0].bootstrap_p.holm,
                     2.0 * comparison.paired[0].bootstrap_p.raw);
    EXPECT_THAT(comparison_text(comparison), HasSubstr("2 comparisons were made"));
}

TEST(CompareRuns, RefusesRunsThatWereTestedOnDifferentData) {
    RunSummary other = run_of("runs/y", "0011");
    other.test->data_sha256 = "defdefdefdefdef";
    EXPECT_THAT(([&] {
                    (void)compare_runs({run_of("runs/x", "0011"), other}, 0, false);
                }),
                ThrowsMessage<UsageError>(AllOf(HasSubstr("runs/x and runs/y"),
                                                HasSubstr("4 examples (sha256 abcabcabcabc)"),
                                                HasSubstr("4 examples (sha256 defdefdefdef)"))));
    RunSummary old = run_of("runs/old", "00110");
    old.test->data_sha256.clear();
    EXPECT_THAT(([&] {
                    (void)compare_runs({run_of("runs/x", "0011"), old}, 0, true);
                }),
                ThrowsMessage<UsageError>(HasSubstr("5 examples")));
}

TEST(CompareRuns, SaysWhyARunIsNotPaired) {
    RunSummary old = run_of("old", "0011");
    old.test->right_by_example.clear();
    old.test->data_sha256.clear();
    RunSummary untested = run_of("untested", "0011");
    untested.test.reset();
    RunSummary text = run_of("text", "0011");
    text.test->right.reset();
    RunSummary failed = run_of("failed", "0000");
    failed.test->measured = 0;
    RunSummary poor = unfinished("poor");
    poor.state = RunState::out_of_budget;
    const auto comparison = compare_runs({run_of("base", "0011"), old, untested, text, failed, poor,
                                          unfinished("killed"), run_of("good", "0111")},
                                         0, false);
    ASSERT_THAT(comparison.paired, SizeIs(1));
    EXPECT_EQ(comparison.runs[comparison.paired[0].run].path, "good");
    EXPECT_THAT(
        reasons(comparison),
        ElementsAre(HasSubstr("old: its result.json, by an older dln"),
                    "untested: its job has no test split", "text: its job measures no accuracy",
                    "failed: none of its test examples could be measured",
                    "poor: stopped by its budget", "killed: unfinished"));
    EXPECT_THAT(comparison.notes, ElementsAre(HasSubstr("old: its result.json")));
}

TEST(CompareRuns, PairsNothingWithAnUnfinishedBaseline) {
    const auto comparison =
        compare_runs({unfinished("base"), run_of("x", "0011"), run_of("y", "0111")}, 0, false);
    EXPECT_THAT(comparison.paired, IsEmpty());
    EXPECT_THAT(reasons(comparison), ElementsAre("base: unfinished"));
    EXPECT_THAT(comparison_text(comparison),
                AllOf(HasSubstr("2 of 3  unfinished"),
                      HasSubstr("No paired tests, for the baseline is left out: unfinished.")));
}

TEST(CompareRuns, FailedExamplesAreNoted) {
    RunSummary run = run_of("x", "0011");
    run.test->measured = 3;
    EXPECT_THAT(compare_runs({run_of("base", "0011"), run}, 0, false).notes,
                ElementsAre("x: 1 of 4 test examples could not be measured and count as wrong."));
}

std::vector<RunSummary> two_groups() {
    return {run_of("a1", "0001", "a", 1), run_of("b1", "1111", "b", 1),
            run_of("a2", "0011", "a", 2), run_of("b2", "0111", "b", 2),
            run_of("a3", "0001", "a", 3), run_of("b3", "1111", "b", 3)};
}

TEST(CompareGroups, ShowTheSpreadOverRunsAndTestWholeRuns) {
    const auto comparison = compare_runs(two_groups(), 2, true);
    EXPECT_THAT(comparison.paired, IsEmpty()) << "examples of several seeds are not independent";
    ASSERT_THAT(comparison.groups, SizeIs(2));
    EXPECT_EQ(comparison.against_group, 0U);
    const Group& a = comparison.groups[0];
    EXPECT_EQ(a.name, "a");
    EXPECT_THAT(a.runs, ElementsAre(0U, 2U, 4U));
    EXPECT_DOUBLE_EQ(a.accuracy->mean, 1.0 / 3.0);
    EXPECT_DOUBLE_EQ(a.accuracy->deviation.value(), 0.25 / std::sqrt(3.0));
    EXPECT_EQ(a.mean_spent->requests, 1'000);
    ASSERT_THAT(comparison.grouped, SizeIs(1));
    EXPECT_EQ(comparison.grouped[0].group, 1U);
    EXPECT_DOUBLE_EQ(comparison.grouped[0].difference, 11.0 / 12.0 - 1.0 / 3.0);
    // Fully apart: 2 of 20 ways to deal out six runs.
    EXPECT_DOUBLE_EQ(comparison.grouped[0].test.p_value, 0.1);
    EXPECT_DOUBLE_EQ(comparison.grouped[0].test.least_p, 0.1);
}

TEST(CompareGroups, UnfinishedRunsDoNotCount) {
    auto runs = two_groups();
    runs.push_back(unfinished("a4", "a"));
    runs.push_back(unfinished("c1", "c"));
    const auto comparison = compare_runs(runs, 0, true);
    EXPECT_EQ(comparison.groups[0].accuracy->runs, 3U);
    EXPECT_FALSE(comparison.groups[2].accuracy.has_value());
    EXPECT_THAT(comparison.grouped, SizeIs(1));
    EXPECT_THAT(reasons(comparison), ElementsAre("a4: unfinished", "c1: unfinished"));
}

TEST(CompareGroups, UnfinishedBaselineTestsNothing) {
    const auto comparison =
        compare_runs({unfinished("c1", "c"), run_of("a1", "01"), run_of("b1", "11", "b")}, 0, true);
    EXPECT_THAT(comparison.grouped, IsEmpty());
    EXPECT_THAT(comparison_text(comparison), Not(HasSubstr("permutation")));
}

TEST(CompareGroups, JobsThatDifferInMoreThanTheSeedAreNoted) {
    auto runs = two_groups();
    json job = json::parse(runs[2].job_json);
    job["train"]["steps"] = 9;
    job["run_dir"] = "elsewhere";
    job["data"]["test"]["path"] = "elsewhere";
    runs[2].job_json = job.dump();
    runs[5].model = "other";
    EXPECT_THAT(compare_runs(runs, 0, true).notes,
                ElementsAre("a1 and a2 of group a differ in more than the seed: /train/steps.",
                            "b1 and b3 of group b differ in more than the seed: the model."));
}

TEST(CompareGroups, TheSameSeedTwiceIsNoted) {
    auto runs = two_groups();
    runs.push_back(run_of("again", "0001", "a", 1));
    EXPECT_THAT(
        compare_runs(runs, 0, true).notes,
        ElementsAre(HasSubstr("a1 and again of group a are the same job with the same seed")));
}

TEST(ComparisonText, StaysWithinAHundredColumns) {
    const std::string longest(120, 'x');
    auto runs = two_groups();
    for (RunSummary& run : runs) {
        run.path = longest + "/" + run.path;
        run.seed = 123'456;
        run.spent = Spending{123'456'789, 12'345'678'901, 1'234'567'890, 0, 1e6};
        run.name = longest + run.name;
        run.steps = 1'000;
        run.steps_done = 999;
    }
    for (const bool by_group : {false, true}) {
        std::istringstream lines(comparison_text(compare_runs(runs, 0, by_group)));
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
    }
}

TEST(ComparisonText, RunsThatAreLeftOutForOneReasonShareALine) {
    EXPECT_THAT(comparison_text(compare_runs(
                    {run_of("base", "01"), unfinished("x"), unfinished("y")}, 0, false)),
                HasSubstr("Not paired: x, y: unfinished.\n"));
}

TEST(ComparisonText, PathsAreShownWithoutControlCharacters) {
    const auto comparison =
        compare_runs({run_of("a\x1b[31m", "01"), unfinished("b\nc\t")}, 0, false);
    EXPECT_THAT(comparison_text(comparison), AllOf(Not(HasSubstr("\x1b")), HasSubstr("b\\nc\\t")));
}

TEST(ComparisonText, LongPathsKeepTheirEnds) {
    const std::string path = "runs/" + std::string(60, 'd') + "/größe";
    const auto text =
        comparison_text(compare_runs({run_of(path, "01"), run_of("b", "11")}, 0, false));
    EXPECT_THAT(text, AllOf(HasSubstr("...ddd"), HasSubstr("d/größe ")));
}

TEST(ComparisonJson, HoldsTheFiguresUnrounded) {
    const auto comparison =
        compare_runs({run_of("base", "000000"), run_of("x", "111110"), unfinished("y")}, 0, false);
    const json made = comparison_json(comparison);
    EXPECT_EQ(made["against"], "base");
    EXPECT_EQ(made["runs"][1]["test"]["accuracy"], 5.0 / 6.0);
    EXPECT_EQ(made["runs"][1]["spent"]["hours"], 1.0);
    EXPECT_EQ(made["runs"][2]["state"], "unfinished");
    ASSERT_EQ(made["comparisons"].size(), 1U);
    EXPECT_EQ(made["comparisons"][0]["mcnemar"]["only_run_right"], 5);
    EXPECT_EQ(made["comparisons"][0]["mcnemar"]["p_value"], 2.0 / 32.0);
    EXPECT_EQ(made["left_out"][0]["why"], "unfinished");
}

}  // namespace
}  // namespace dln
