// Bad jobs: each fault is told with its place, what was found and what would be right.
#include <gmock/gmock.h>

#include "job_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What --set does to a valid job, and how its message begins and what else it holds.
struct BadField {
    const char* pointer;
    const char* value;
    const char* start;
    const char* part = "";
};

class BadFields : public JobFixture, public ::testing::WithParamInterface<BadField> {};

TEST_P(BadFields, AreToldWithPlaceAndRemedy) {
    const auto& c = GetParam();
    const auto message = fault(kValid, {{c.pointer, c.value}});
    EXPECT_THAT(message, StartsWith(c.start));
    EXPECT_THAT(message, HasSubstr(c.part));
}

INSTANTIATE_TEST_SUITE_P(
    UnknownNames,
    BadFields,
    ::testing::Values(
        BadField{"/train/stepz", "5",
                 "tiny.json: /train/stepz: unknown field. Expected one of: steps",
                 "Did you mean \"steps\"?"},
        BadField{"/train/batchSize", "5", "tiny.json: /train/batchSize: unknown field",
                 "Did you mean \"batch_size\"?"},
        BadField{"/steps", "5", "tiny.json: /steps: unknown field", "It belongs at /train/steps."},
        BadField{"/data/train/limits", "5", "tiny.json: /data/train/limits: unknown field",
                 "Did you mean \"limit\"?"},
        BadField{"/classes/1/verbaliser", "[]", "tiny.json: /classes/1/verbaliser: unknown field",
                 "Did you mean \"verbalizers\"?"},
        BadField{"/network/layers/0/a~1b", "1", "tiny.json: /network/layers/0/a~1b: unknown field"},
        BadField{"/scoring/objective", "acuracy",
                 "tiny.json: /scoring/objective: unknown value \"acuracy\". Expected one of: "
                 "\"class_log_prob\", \"log_prob\", \"accuracy\".",
                 "Did you mean \"accuracy\"?"},
        BadField{"/backend/kind", "htpp", "tiny.json: /backend/kind: unknown value \"htpp\""},
        BadField{"/backend/kind", "http", "tiny.json: /backend/endpoints: missing"},
        BadField{"/data/train/format", "jsonl", "tiny.json: /data/train/format: unknown value"},
        BadField{"/train/proposals/templates", "erors",
                 "tiny.json: /train/proposals/templates: \"erors\" is no built-in",
                 "Did you mean \"errors\"?"},
        BadField{"/train/proposals/templates", "feedback",
                 "tiny.json: /train/proposals/feedback: missing, but template \"feedback\""},
        BadField{"/train/proposals/templates",
                 R"([{"text": "{{#feedback}}{{feedback}}{{/feedback}}"}])",
                 "tiny.json: /train/proposals/feedback: missing, but template \"p1\""},
        BadField{"/train/proposals/feedback", "Be brief.",
                 "tiny.json: /train/proposals/feedback: no template shows it"},
        BadField{"/train/proposals/templates", R"([{"name": "edit", "messages": "a"}])",
                 "tiny.json: /train/proposals/templates/0/messages: \"edit\" asks no model"},
        BadField{"/train/proposals/templates", R"([{"name": "crossover", "prompts_a_reply": 2}])",
                 "tiny.json: /train/proposals/templates/0/prompts_a_reply: \"crossover\" asks"},
        BadField{"/train/proposals", R"({"templates": ["list"], "stop": ["\n"]})",
                 "tiny.json: /train/proposals/stop: a line break would end the lists"},
        BadField{"/train/proposals/templates", R"([{"name": "errors", "share": 0}])",
                 "tiny.json: /train/proposals/templates/0/share: 0 is out of range"},
        BadField{"/train/proposals/templates", R"([{"messages": ["a"]}])",
                 "tiny.json: /train/proposals/templates/0/name: \"\" is no built-in"}));

INSTANTIATE_TEST_SUITE_P(
    Words,
    BadFields,
    ::testing::Values(
        BadField{"/network/layers/0/words", R"({"input": ["Text", "Review"]})",
                 "tiny.json: /network/layers/0/words/input: no template of the layer shows it. "
                 "Expected {{word.input}} in one of them"},
        BadField{"/network/layers/0/template", "{{prompt}} {{word.imput}} {{input}}",
                 "tiny.json: /network/layers/0/template: line 1, column 12: unknown variable "
                 "{{word.imput}}. Expected one of: {{prompt}}, {{input}}, {{examples}}."},
        BadField{"/network/layers/0",
                 R"({"prompt": "P", "words": {"input": ["Text"]},
                     "templates": ["{{prompt}}{{word.input}}{{input}}", "{{word.imput}}{{input}}"]})",
                 "tiny.json: /network/layers/0/templates/1: line 1, column 1: unknown variable "
                 "{{word.imput}}. Expected one of: {{prompt}}, {{input}}, {{examples}}, "
                 "{{word.input}}.",
                 "Did you mean \"word.input\"?"},
        BadField{"/network/layers/0/words", R"({"input": []})",
                 "tiny.json: /network/layers/0/words/input: an empty list. Expected a text; or a "
                 "list of at least 1 of these"},
        BadField{"/network/layers/0/words", R"({"input": ["Text", 3]})",
                 "tiny.json: /network/layers/0/words/input/1: wrong type: found the number 3"},
        BadField{"/network/layers/0/words", R"({"input": ["Text", "Review", "Text"]})",
                 "tiny.json: /network/layers/0/words/input/2: \"Text\" is alternative 0 already"},
        BadField{"/network/layers/0/words", R"({"In-put": ["Text"]})",
                 "tiny.json: /network/layers/0/words/In-put: \"In-put\" cannot name a word. "
                 "Expected a-z, 0-9 and _"},
        BadField{"/network/layers/0/words", R"({"1st": ["Text"]})",
                 "tiny.json: /network/layers/0/words/1st: \"1st\" cannot name a word"},
        BadField{"/network/layers/0/words", R"(["Text"])",
                 "tiny.json: /network/layers/0/words: wrong type: found a list. Expected an object "
                 "that names words"},
        BadField{"/train/proposals/templates", R"(["errors", "words"])",
                 "tiny.json: /train/proposals/templates/1: \"words\" tries other words, but no "
                 "trained layer has a word with alternatives"},
        BadField{"/train/proposals/templates", R"([{"name": "words", "messages": "a"}])",
                 "tiny.json: /train/proposals/templates/0/messages: \"words\" asks no model"},
        BadField{"/train/proposals/templates", "new_words",
                 "tiny.json: /train/proposals/templates: \"new_words\" tries other words, but no "
                 "trained layer has a word. Expected"},
        BadField{"/train/proposals/templates", R"([{"name": "new_words", "prompts_a_reply": 2}])",
                 "tiny.json: /train/proposals/templates/0/prompts_a_reply: 2, but \"new_words\""},
        BadField{"/network/layers/0/template", R"({"text": ""})",
                 "tiny.json: /network/layers/0/template/text: an empty text"}));

INSTANTIATE_TEST_SUITE_P(
    Types,
    BadFields,
    ::testing::Values(
        BadField{"/train/steps", "ten",
                 "tiny.json: /train/steps: wrong type: found the text \"ten\". Expected an integer "
                 "of at "
                 "least 0."},
        BadField{"/train/steps", "5.5",
                 "tiny.json: /train/steps: wrong type: found the number 5.5"},
        BadField{"/train/steps", "null", "tiny.json: /train/steps: wrong type: found null"},
        BadField{"/train/steps", "[5]", "tiny.json: /train/steps: wrong type: found a list"},
        BadField{
            "/train/held_out_ranking", "1",
            "tiny.json: /train/held_out_ranking: wrong type: found the number 1. Expected true or "
            "false."},
        BadField{"/scoring/burn_in", "NaN",
                 "tiny.json: /scoring/burn_in: wrong type: found the text \"NaN\""},
        BadField{"/scoring/separator", "5", "tiny.json: /scoring/separator: wrong type"},
        BadField{"/train", "5",
                 "tiny.json: /train: wrong type: found the number 5. Expected an object"},
        BadField{"/data/train", "5", "tiny.json: /data/train: wrong type: found the number 5",
                 "or a text, which is its `path`"},
        BadField{"/classes", "{}",
                 "tiny.json: /classes: wrong type: found an object. Expected a list"},
        BadField{"/classes/0", "true", "tiny.json: /classes/0: wrong type: found true"},
        BadField{"/network/layers/0/prompt", R"([{"path": "x"}])",
                 "tiny.json: /network/layers/0/prompt/0: wrong type: found an object. Expected a "
                 "text or "
                 "{\"file\": path}."},
        BadField{"/keep", "some", "tiny.json: /keep: wrong type", "or \"all\""},
        BadField{"/network/layers/0/prompt", "3",
                 "tiny.json: /network/layers/0/prompt: wrong type: found the number 3. Expected a "
                 "text or {\"file\": path}; or a list of at least 1 of these."},
        BadField{"/network/layers/0/stop", "3", "tiny.json: /network/layers/0/stop: wrong type",
                 "Expected a text that is not empty; or a list of these."},
        BadField{"/train/proposals/templates", "3",
                 "tiny.json: /train/proposals/templates: wrong type",
                 "Expected an object, or a text, which is the `name` of a built-in template; or a "
                 "list of at least 1 of these."},
        BadField{"/classes", "3", "tiny.json: /classes: wrong type: found the number 3",
                 "Expected a list of entries, each an object, or a text, which is its `name`"},
        BadField{"/data/train/labels", R"({"a": 1})",
                 "tiny.json: /data/train/labels/a: wrong type"}));

INSTANTIATE_TEST_SUITE_P(
    Ranges,
    BadFields,
    ::testing::Values(
        BadField{"/train/candidates", "0",
                 "tiny.json: /train/candidates: 0 is out of range. Expected an integer from 1 to "
                 "100000."},
        BadField{"/train/batch_size", "0", "tiny.json: /train/batch_size: 0 is out of range"},
        BadField{"/train/steps", "-1", "tiny.json: /train/steps: -1 is out of range"},
        BadField{"/train/steps", "9223372036854775808",
                 "tiny.json: /train/steps: 9223372036854775808", "at most 9223372036854775807"},
        BadField{"/seed", "18446744073709551616",
                 "tiny.json: /seed: 1.8446744073709552e+19 is out of"},
        BadField{"/seed", "-1", "tiny.json: /seed: -1 is out of range"},
        BadField{"/backend/threads", "4294967297",
                 "tiny.json: /backend/threads: 4294967297 is out"},
        BadField{"/keep", "0", "tiny.json: /keep: 0 is out of range"},
        BadField{"/scoring/burn_in", "1", "tiny.json: /scoring/burn_in: 1 is out of range",
                 "a number at least 0 and below 1"},
        BadField{"/scoring/min_scored", "0", "tiny.json: /scoring/min_scored: 0 is out of range"},
        BadField{"/scoring/content_free_inputs", "[]",
                 "tiny.json: /scoring/content_free_inputs: an empty list."},
        BadField{"/scoring", R"({"calibration": "batch", "objective": "log_prob"})",
                 "tiny.json: /scoring/calibration: calibration corrects class probabilities",
                 "Expected /scoring/objective"},
        BadField{"/train/tie_margin", "-0.5", "tiny.json: /train/tie_margin: -0.5 is out of range"},
        BadField{"/train/proposals/top_p", "1.5", "tiny.json: /train/proposals/top_p: 1.5 is out"},
        BadField{"/name", "a/b", "tiny.json: /name: \"a/b\" cannot name a directory"},
        BadField{"/name", "", "tiny.json: /name: \"\" cannot name a directory"},
        BadField{"/run_dir", "", "tiny.json: /run_dir: the path is empty"},
        BadField{"/network/layers/0/stop", "", "tiny.json: /network/layers/0/stop: an empty text"},
        BadField{"/network/layers", "[]", "tiny.json: /network/layers: an empty list"},
        BadField{"/network/layers/0/prompt", "[]",
                 "tiny.json: /network/layers/0/prompt: an empty list"},
        BadField{"/network/layers/0/template", "[]",
                 "tiny.json: /network/layers/0/template: an empty list"}));

INSTANTIATE_TEST_SUITE_P(
    MissingParts,
    BadFields,
    ::testing::Values(
        BadField{"/data", "{}", "tiny.json: /data/train: missing. Expected an object"},
        BadField{"/network", "{}", "tiny.json: /network/layers: missing."},
        BadField{"/network/layers/0", "{}", "tiny.json: /network/layers/0/prompts: missing."},
        BadField{"/data/train", "{}", "tiny.json: /data/train/path: missing."},
        BadField{"/data/train", "trian.jsonl",
                 "tiny.json: /data/train: there is no file \"trian.jsonl\"",
                 "Did you mean \"train.jsonl\"?"},
        BadField{"/data/train/path", "nowhere/x.jsonl",
                 "tiny.json: /data/train/path: there is no file"},
        BadField{"/data/train", ".",
                 "tiny.json: /data/train: ", "is a directory. Expected a file."},
        BadField{"/data/train", "\"a\\u0000b\"",
                 "tiny.json: /data/train: a path cannot hold a NUL byte"},
        BadField{"/data/train", "prompt.txt",
                 "tiny.json: /data/train: the extension \".txt\" does not tell the format"},
        BadField{"/network/layers/0/prompt", R"({"file": "promt.txt"})",
                 "tiny.json: /network/layers/0/prompt: there is no file",
                 "Did you mean \"prompt.txt\"?"},
        BadField{"/network/layers/0/prompt", R"(["a", {"file": "latin1.txt"}])",
                 "tiny.json: /network/layers/0/prompt/1: \"latin1.txt\" is not UTF-8: the byte at "
                 "offset "
                 "3 is invalid"},
        BadField{"/backend/replies", "none.jsonl",
                 "tiny.json: /backend/replies: there is no file"}));

INSTANTIATE_TEST_SUITE_P(
    Templates,
    BadFields,
    ::testing::Values(
        BadField{
            "/network/layers/0/template", "{{prompt}} {{inptu}}",
            "tiny.json: /network/layers/0/template: line 1, column 12: unknown variable {{inptu}}. "
            "Expected one of: {{prompt}}, {{input}}, {{examples}}.",
            "Did you mean \"input\"?"},
        BadField{"/network/layers/0/template", "{{prompt}}",
                 "tiny.json: /network/layers/0/template: the template has no {{input}}"},
        BadField{"/network/layers/0/template", "{{input}}",
                 "tiny.json: /network/layers/0/template: a layer that is trained needs {{prompt}}"},
        BadField{
            "/network/layers/0/template", R"({"text": "{{prompt}} {{{input}}}"})",
            "tiny.json: /network/layers/0/template/text: line 1, column 12: {{{name}}} is not"},
        BadField{"/network/layers/0/residual", "{{prompt}}{{output}}",
                 "tiny.json: /network/layers/0/residual: line 1, column 1: unknown variable"},
        BadField{"/network/layers/0/residual", "{{input}}",
                 "tiny.json: /network/layers/0/residual: the template has no {{output}}"},
        BadField{
            "/train/proposals/templates", R"([{"text": "{{errors}}"}])",
            "tiny.json: /train/proposals/templates/0/text: line 1, column 1: {{errors}} is a list"},
        BadField{"/train/proposals/templates", R"([{"text": "a\n{{input}}"}])",
                 "tiny.json: /train/proposals/templates/0/text: line 2, column 1: {{input}} is "
                 "known only "
                 "inside {{#successes}}"},
        BadField{"/train/proposals/templates", R"({"text": "{{#eror}}{{/eror}}"})",
                 "tiny.json: /train/proposals/templates/text: line 1, column 1: unknown variable",
                 "Did you mean \"errors\"?"},
        BadField{
            "/network/layers/0/templates",
            R"([{"name": "a", "text": "{{prompt}}{{input}}"}, {"name": "a", "text": "{{prompt}}{{input}}"}])",
            "tiny.json: /network/layers/0/template/1/name: \"a\" is the name of template 0 "
            "already"},
        BadField{"/train/proposals/templates", R"(["errors", "errors"])",
                 "tiny.json: /train/proposals/templates/1: \"errors\" is the name of template 0"}));

INSTANTIATE_TEST_SUITE_P(
    Combinations,
    BadFields,
    ::testing::Values(
        BadField{"/classes", R"(["yes"])", "tiny.json: /classes: there is only one class"},
        BadField{"/classes", "[]",
                 "tiny.json: /scoring/objective: \"class_log_prob\" (the default) needs"},
        BadField{"/classes", R"(["a", "b", "a"])",
                 "tiny.json: /classes/2: \"a\" is the name of class 0 already"},
        BadField{"/classes/0/verbalizers", R"(["no", "true"])",
                 "tiny.json: /classes/1/verbalizers/1: \"true\" stands for class \"no\" already"},
        BadField{"/classes/0/verbalizers", R"(["no", " true "])",
                 "tiny.json: /classes/1/verbalizers/1: \"true\" stands for class \"no\" already",
                 "white space at the ends does not count"},
        BadField{"/classes/0/verbalizers", R"(["no", " no"])",
                 "tiny.json: /classes/0/verbalizers/1: \" no\" stands for class \"no\" already"},
        BadField{"/classes/0/verbalizers", R"([" "])",
                 "tiny.json: /classes/0/verbalizers/0: white space only"},
        BadField{"/classes/0/verbalizers", "[]",
                 "tiny.json: /classes/0/verbalizers: an empty list"}));

TEST_F(JobFixture, EqualVerbalizersWithinAClassAreFineWithoutLeadingSpace) {
    EXPECT_EQ(fault(kValid, {{"/classes/0/verbalizers", R"(["no", " no"])"},
                             {"/scoring/leading_space", "false"}}),
              "");
}

TEST_F(JobFixture, JobsWithoutClassesNeedAnotherObjective) {
    EXPECT_EQ(fault(kValid, {{"/classes", "[]"}, {"/scoring/objective", "accuracy"}}), "");
}

TEST_F(JobFixture, HeldOutRankingNeedsTwoHalves) {
    EXPECT_THAT(
        fault(kValid, {{"/train/held_out_ranking", "true"}, {"/train/batch_size", "1"}}),
        StartsWith("tiny.json: /train/held_out_ranking: held-out ranking needs two halves"));
}

TEST_F(JobFixture, MemoryAndToleranceNeedDev) {
    EXPECT_EQ(fault(kValid, {{"/train/memory", "2"}}), "");
    EXPECT_THAT(fault(kValid, {{"/train/memory", "2"}, {"/data/dev", "null"}}),
                StartsWith("tiny.json: /train/memory: 2 needs evaluations on dev"));
    EXPECT_THAT(fault(kValid, {{"/train/tolerance", "1"}, {"/data/dev", "null"}}),
                StartsWith("tiny.json: /train/tolerance: 1 needs"));
}

TEST_F(JobFixture, AliasAndNameTogetherAreRefused) {
    EXPECT_THAT(
        fault(R"({"data": {"train": "train.jsonl"}, "classes": ["a", "b"],
                  "network": {"layers": [{"prompt": "a", "prompts": ["b"]}]}})"),
        StartsWith("tiny.json: /network/layers/0: \"prompts\" and \"prompt\" are the same field"));
}

TEST_F(JobFixture, SeveralFaultsAreToldAtOnce) {
    EXPECT_EQ(
        fault(R"({"dta": {}, "network": {"layers": [{"prompt": "a", "few_shot": -1}]}})"),
        "tiny.json: /dta: unknown field. Expected one of: system, name, seed, run_dir, keep, data, "
        "classes, "
        "network, scoring, train, backend, backward_backend, embedding, budget. Did you mean "
        "\"data\"?\n"
        "tiny.json: /data: missing. Expected an object.\n"
        "tiny.json: /network/layers/0/few_shot: -1 is out of range. Expected an integer from 0 to "
        "1000.");
}

TEST_F(JobFixture, FaultsAreToldUpToTen) {
    std::string text =
        R"({"data": {"train": "train.jsonl"}, "network": {"layers": [{"prompt": "a"}]})";
    for (int i = 0; i < 12; ++i) {
        text += ", \"wrong_" + std::to_string(i) + "\": 1";
    }
    const auto message = fault(text + "}");
    EXPECT_THAT(message, HasSubstr("/wrong_9"));
    EXPECT_THAT(message, ::testing::Not(HasSubstr("/wrong_10")));
    EXPECT_THAT(message, ::testing::EndsWith("\n... and 2 more"));
}

TEST_F(JobFixture, ControlCharactersNeverReachTheTerminal) {
    const auto message = fault(kValid, {{"/backend/kind", "\x1b[31m"}, {"/\x1b[2J", "1"}});
    EXPECT_THAT(message, ::testing::Not(HasSubstr("\x1b")));
    EXPECT_THAT(message, HasSubstr("\\x1b[31m"));
}

TEST_F(JobFixture, BadOverridesNameThemselves) {
    EXPECT_THAT(fault(kValid, {{"train/steps", "5"}}),
                StartsWith("--set train/steps=5: the field is no JSON pointer"));
    EXPECT_THAT(fault(kValid, {{"/", "5"}}), StartsWith("--set /=5: the field is no JSON pointer"));
    EXPECT_THAT(fault(kValid, {{"/a~b", "5"}}), HasSubstr("is written ~0"));
    EXPECT_THAT(fault(kValid, {{"/network/layers/7/train", "false"}}),
                HasSubstr("the list has 1 entry. Expected an index of at most 1"));
    EXPECT_THAT(fault(kValid, {{"/network/layers/x/train", "false"}}),
                HasSubstr("\"x\" is no index of a list"));
    EXPECT_THAT(fault(kValid, {{"/train/steps", "1"}, {"/train/steps/x", "5"}}),
                HasSubstr("\"x\" has nothing below the number 1"));
    EXPECT_THAT(fault(kValid, {{"/name", "\xFF"}}), HasSubstr("the value is not UTF-8"));
}

TEST_F(JobFixture, UnreadableJobFilesAreTold) {
    for (const auto& file : {path("none.json"), path(".")}) {
        try {
            (void)read_job(file);
            FAIL() << file;
        } catch (const UsageError& error) {
            EXPECT_EQ(error.what(), file + ": cannot be read. Expected the path of a job file.");
        }
    }
}

/// Two layers with a residual between them.
constexpr const char* kTwoLayers = R"({
    "data": {"train": "train.jsonl"},
    "classes": ["no", "yes"],
    "network": {"layers": [
        {"prompt": "Think.", "template": "{{prompt}} {{input}}", "residual": "{{input}}: {{output}}"},
        {"prompt": "Even?", "template": "{{prompt}} {{input}}"}
    ]}
})";

class BadLatents : public JobFixture, public ::testing::WithParamInterface<BadField> {};

TEST_P(BadLatents, AreToldWithPlaceAndRemedy) {
    const auto& c = GetParam();
    const auto message = fault(kTwoLayers, {{c.pointer, c.value}});
    EXPECT_THAT(message, StartsWith(c.start));
    EXPECT_THAT(message, HasSubstr(c.part));
}

INSTANTIATE_TEST_SUITE_P(
    Posterior,
    BadLatents,
    ::testing::Values(
        BadField{"/train/posterior/samples", "0", "tiny.json: /train/posterior/samples: 0"},
        BadField{"/train/posterior/templates", "tarket",
                 "tiny.json: /train/posterior/templates: \"tarket\" is no built-in",
                 "Did you mean \"target\"?"},
        BadField{"/train/posterior/templates", R"([{"text": "{{prompt}} {{input}}"}])",
                 "tiny.json: /train/posterior/templates: no template shows {{target}}"},
        BadField{"/train/posterior/templates",
                 R"([{"text": "{{#illustration}}{{target}}{{/illustration}} {{input}}"}])",
                 "tiny.json: /train/posterior/templates: no template shows {{target}}"},
        BadField{
            "/train/posterior/templates", R"([{"text": "{{latent}}"}])",
            "tiny.json: /train/posterior/templates/0/text: line 1, column 1: unknown variable"},
        BadField{"/train/posterior",
                 R"({"speculate": true, "templates": [{"text": "{{output}} {{target}}"}]})",
                 "tiny.json: /train/posterior/templates/0/text: {{output}} is what the forward"},
        BadField{"/train/posterior/weight_temperature", "0",
                 "tiny.json: /train/posterior/weight_temperature: 0"}));

TEST_F(JobFixture, TermsThatNeedLogProbabilitiesAreRefusedWhereOnlyRightAnswersCount) {
    for (const char* place :
         {"/train/posterior/mutual_information", "/train/posterior/log_q", "/train/nce"}) {
        EXPECT_THAT(fault(kTwoLayers, {{"/scoring/objective", "accuracy"}, {place, "true"}}),
                    StartsWith(std::string("tiny.json: ") + place + ": needs log-probabilities"));
    }
    EXPECT_THAT(
        fault(kTwoLayers, {{"/scoring/objective", "accuracy"}, {"/train/logp_penalty", "0.5"}}),
        StartsWith("tiny.json: /train/logp_penalty: needs log-probabilities"));
}

TEST_F(JobFixture, BackwardModelThatCannotScoreIsRefusedOnlyWithLogQ) {
    const Override chat{"/backward_backend",
                        R"({"kind": "http", "endpoints": "http://h", "dialect": "openai-chat"})"};
    EXPECT_EQ(fault(kTwoLayers, {chat}), "");
    EXPECT_THAT(fault(kTwoLayers, {chat, {"/train/posterior/log_q", "true"}}),
                StartsWith("tiny.json: /backward_backend/dialect: \"openai-chat\" cannot score"));
    EXPECT_THAT(fault(kTwoLayers, {chat, {"/train/posterior/templates", "target_few_shot"}}),
                HasSubstr("/train/posterior/templates"));
    EXPECT_THAT(
        fault(kValid,
              {chat, {"/train/proposals/templates", R"([{"text": "{{prompt}}", "chat": false}])"}}),
        AllOf(HasSubstr("/train/proposals/templates/0"), HasSubstr("chat contexts only")));
}

TEST_F(JobFixture, FaultsOfTheEmbeddingHaveItsPlace) {
    EXPECT_THAT(fault(kValid, {{"/embedding/kind", "http"}}),
                StartsWith("tiny.json: /embedding/endpoints: missing"));
    EXPECT_THAT(fault(kValid, {{"/embedding/endpoints", "http://h"}}),
                StartsWith("tiny.json: /embedding/endpoints: only"));
    EXPECT_THAT(fault(kValid, {{"/embedding/template", "a word"}}),
                AllOf(StartsWith("tiny.json: /embedding/template: "), HasSubstr("{{input}}")));
    EXPECT_THAT(fault(kValid, {{"/embedding/template", "{{input}} {{prompt}}"}}),
                HasSubstr("unknown variable {{prompt}}"));
    EXPECT_THAT(fault(kValid, {{"/embedding/dimension", "0"}}),
                StartsWith("tiny.json: /embedding/dimension: 0 is out of range"));
    EXPECT_THAT(fault(kValid, {{"/network/layers/0/few_shot_choice", "near"}}),
                HasSubstr("\"nearest\""));
}

TEST_F(JobFixture, FaultsOfTheBackwardBackendHaveItsPlace) {
    EXPECT_THAT(fault(kValid, {{"/backward_backend/kind", "http"}}),
                StartsWith("tiny.json: /backward_backend/endpoints: missing"));
    EXPECT_THAT(fault(kValid, {{"/backward_backend", "embedded"}}),
                StartsWith("tiny.json: /backward_backend: wrong type"));
}

TEST_F(JobFixture, MutualInformationWithoutAResidualIsRefused) {
    EXPECT_THAT(fault(kTwoLayers, {{"/network/layers/0/residual", "null"},
                                   {"/train/posterior/mutual_information", "true"}}),
                StartsWith("tiny.json: /train/posterior/mutual_information: without a residual"));
}

TEST_F(JobFixture, TermsOfHiddenLayersAreRefusedWithOneLayer) {
    EXPECT_THAT(fault(kValid, {{"/train/logp_penalty", "1"}}),
                StartsWith("tiny.json: /train/logp_penalty: is about hidden layers"));
    EXPECT_THAT(fault(kValid, {{"/train/nce", "true"}}),
                StartsWith("tiny.json: /train/nce: is about hidden layers"));
    EXPECT_THAT(fault(kValid, {{"/train/hidden_steps", "2"}}),
                StartsWith("tiny.json: /train/hidden_steps: is about hidden layers"));
    EXPECT_EQ(fault(kValid, {{"/train/trust_factor", "1"}}), "");
}

TEST_F(JobFixture, DivergenceWithoutClassesIsRefused) {
    EXPECT_THAT(fault(kValid, {{"/classes", "[]"},
                               {"/scoring/objective", "log_prob"},
                               {"/train/trust_factor", "1"}}),
                StartsWith("tiny.json: /train/trust_factor: 1, but the divergence"));
}

TEST_F(JobFixture, CalibrationWithoutClassesIsRefused) {
    EXPECT_THAT(fault(kValid, {{"/classes", "[]"},
                               {"/scoring/objective", "accuracy"},
                               {"/scoring/calibration", "batch"}}),
                AllOf(StartsWith("tiny.json: /scoring/calibration: calibration corrects class"),
                      HasSubstr("/classes is empty. Name the classes, or expected \"none\"")));
}

}  // namespace
}  // namespace dln
