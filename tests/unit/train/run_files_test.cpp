#include "train/run_files.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/train/prompts_file.hpp"

#include "support/small_job.hpp"

namespace dln {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

Job two_layers() {
    Job job = testing::small_job();
    job.network.layers.push_back(testing::layer_of("Q"));
    job.network.layers[1].templates.push_back({.name = "other", .text = "{{input}}"});
    return job;
}

TrainState state_with(const NetworkParameters& current) {
    TrainState state;
    state.steps_done = 3;
    state.current = current;
    return state;
}

TEST(PromptsFile, ComesBackAsItWas) {
    const NetworkParameters odd{{"say \"{{x}}\"\n\tдa", 0}, {std::string("a\0b", 3), 1}};
    const std::string text = prompts_json(two_layers(), state_with(odd));
    EXPECT_EQ(parse_prompts(text, "prompts.json", two_layers()), odd);
}

TEST(PromptsFile, KeepsTheWords) {
    Job job = two_layers();
    job.network.layers[1].words = {{"in", {"Text"}}, {"out", {"Label"}}};
    const NetworkParameters parameters{{"a", 0}, {"b", 1, {"Review", ""}}};
    const std::string text = prompts_json(job, state_with(parameters));
    EXPECT_EQ(parse_prompts(text, "prompts.json", job), parameters);
    EXPECT_EQ(json::parse(text)["layers"][1]["words"], (json{{"in", "Review"}, {"out", ""}}));
    EXPECT_FALSE(json::parse(text)["layers"][0].contains("words"));
}

TEST(PromptsFile, WordsThatDoNotFitAreAUsageErrorWithTheirPlace) {
    Job job = testing::small_job();
    job.network.layers[0].words = {{"in", {"Text"}}};
    const auto parse = [&](const std::string& words) {
        (void)parse_prompts(R"({"layers": [{"prompt": "a", "template": "plain")" + words + "}]}",
                            "prompts.json", job);
    };
    parse(R"(, "words": {"in": "x"})");
    for (const char* words : {"", R"(, "words": ["x"])", R"(, "words": {"in": 1})"}) {
        EXPECT_THAT([&] { parse(words); },
                    ThrowsMessage<UsageError>(HasSubstr("prompts.json: /layers/0/words/in: missing "
                                                        "or no text. Expected the word")))
            << words;
    }
    EXPECT_THAT([&] { parse(R"(, "words": {"in": "x", "out": "y"})"); },
                ThrowsMessage<UsageError>(HasSubstr("/layers/0/words/out: the job's layer has")));
}

TEST(PromptsFile, HoldsTheBestOnDevWithItsResult) {
    TrainState state = state_with({{"now", 0}, {"now", 0}});
    state.best = {{.parameters = {{"best", 0}, {"best", 1}},
                   .dev = {.right = 3,
                           .examples = 4,
                           .measured = 4,
                           .log_likelihood_sum = -(std::int64_t{2} << 32)}}};
    const std::string text = prompts_json(two_layers(), state);
    EXPECT_EQ(parse_prompts(text, "prompts.json", two_layers()), state.best[0].parameters);
    EXPECT_EQ(json::parse(text)["dev"]["accuracy"], 0.75);
    EXPECT_EQ(json::parse(text)["dev"]["log_likelihood"], -0.5);
    EXPECT_EQ(json::parse(text)["steps_done"], 3);
}

TEST(PromptsFile, KeepsTheClassPriorOfDev) {
    Job job = testing::class_job();
    job.scoring.calibration = Calibration::batch;
    TrainState state = state_with({{"now", 0}});
    EXPECT_THAT(parse_class_prior(prompts_json(job, state), "prompts.json", job), IsEmpty());
    state.best = {{.parameters = {{"best", 0}}, .dev = {.class_log_prior = {-0.1, -1000.3}}}};
    const std::string text = prompts_json(job, state);
    EXPECT_THAT(parse_class_prior(text, "prompts.json", job), ElementsAre(-0.1, -1000.3));
    job.scoring.calibration = Calibration::none;
    EXPECT_THAT(parse_class_prior(text, "prompts.json", job), IsEmpty());
}

TEST(PromptsFile, ClassPriorOfOtherClassesIsAUsageError) {
    Job job = testing::class_job();
    job.scoring.calibration = Calibration::batch;
    EXPECT_THAT(
        [&] {
            (void)parse_class_prior(R"({"layers": [], "class_log_prior": {"no": -1}})",
                                    "prompts.json", job);
        },
        ThrowsMessage<UsageError>(AllOf(HasSubstr("prompts.json: /class_log_prior"),
                                        HasSubstr("no number for class \"yes\""))));
}

TEST(PromptsFile, InvalidBytesDoNotCostTheRun) {
    const std::string text = prompts_json(two_layers(), state_with({{"a\xff", 0}, {"b", 0}}));
    EXPECT_EQ(parse_prompts(text, "prompts.json", two_layers())[0].prompt, "a\xef\xbf\xbd");
}

TEST(PromptsFile, WhatDoesNotFitIsAUsageErrorWithItsPlace) {
    const std::map<std::string, std::string> faults{
        {"", "not a prompts file"},
        {"[1]", "not a prompts file"},
        {R"({"layers": 1})", "not a prompts file"},
        {R"({"layers": [{"prompt": "a", "template": "plain"}]})", "1 layer,"},
        {R"({"layers": [1, 2]})", "/layers/0"},
        {R"({"layers": [{"prompt": "a", "template": "plain"}, {"prompt": "b"}]})", "/layers/1"},
        {R"({"layers": [{"prompt": 1, "template": "plain"}, {}]})", "/layers/0"},
        {R"({"layers": [{"prompt": "a", "template": "other"}, {}]})", "\"other\""}};
    for (const auto& [text, reason] : faults) {
        EXPECT_THAT(
            [&] { (void)parse_prompts(text, "p/prompts.json", two_layers()); },
            ThrowsMessage<UsageError>(AllOf(HasSubstr("p/prompts.json"), HasSubstr(reason))))
            << text;
    }
}

TEST(BestParameters, AreTheCurrentOnesBeforeDevSaidAnything) {
    EXPECT_EQ(best_parameters(state_with({{"now", 0}})), (NetworkParameters{{"now", 0}}));
}

TEST(MetricsLine, IsOneObjectInOneLine) {
    const DevResult dev{
        .right = 1, .examples = 4, .measured = 2, .log_likelihood_sum = -(std::int64_t{3} << 32)};
    const std::string line = metrics_line(7, "dev", dev);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed["step"], 7);
    EXPECT_EQ(parsed["split"], "dev");
    EXPECT_EQ(parsed["accuracy"], 0.25);
    EXPECT_EQ(parsed["log_likelihood"], -1.5);
}

TEST(MetricsLine, SaysOnlyWhatWasMeasured) {
    Evaluation evaluation{.examples = 4, .measured = 4, .right = 2, .has_log_likelihood = false};
    EXPECT_FALSE(json::parse(metrics_line(1, "test", evaluation)).contains("log_likelihood"));
    EXPECT_EQ(json::parse(metrics_line(1, "test", evaluation))["accuracy"], 0.5);
    evaluation.has_accuracy = false;
    evaluation.has_log_likelihood = true;
    EXPECT_FALSE(json::parse(metrics_line(1, "test", evaluation)).contains("accuracy"));
}

TEST(ResultFile, HoldsTestAndTheInitialPromptsForComparison) {
    TrainOutcome outcome;
    outcome.parameters = {{"best", 0}, {"best", 1}};
    outcome.state = state_with(outcome.parameters);
    outcome.state.usage.calls = 99;
    EXPECT_FALSE(json::parse(result_json(two_layers(), outcome)).contains("test"));
    outcome.test = Evaluation{.examples = 10, .measured = 10, .right = 8};
    outcome.test_initial = Evaluation{.examples = 10, .measured = 10, .right = 5};
    const json result = json::parse(result_json(two_layers(), outcome));
    EXPECT_EQ(result["test"]["accuracy"], 0.8);
    EXPECT_EQ(result["test_initial"]["accuracy"], 0.5);
    EXPECT_EQ(result["layers"][1]["template"], "other");
    EXPECT_EQ(result["usage"]["calls"], 99);
}

TEST(ResultFile, HoldsWhatWasRightByExampleAndOnWhichData) {
    TrainOutcome outcome;
    outcome.parameters = {{"best", 0}, {"best", 1}};
    outcome.state = state_with(outcome.parameters);
    outcome.test = Evaluation{
        .examples = 3, .measured = 2, .right = 2, .right_by_example = {true, false, true}};
    outcome.test_initial = Evaluation{
        .examples = 3, .measured = 3, .right = 1, .right_by_example = {false, true, false}};
    outcome.test_data = "abc";
    const json result = json::parse(result_json(two_layers(), outcome));
    EXPECT_EQ(result["test"]["right"], "101");
    EXPECT_EQ(result["test_initial"]["right"], "010");
    EXPECT_EQ(result["test"]["data_sha256"], "abc");
    EXPECT_EQ(result["test"]["measured"], 2);
    outcome.test->has_accuracy = false;
    EXPECT_FALSE(json::parse(result_json(two_layers(), outcome))["test"].contains("right"));
}

}  // namespace
}  // namespace dln
