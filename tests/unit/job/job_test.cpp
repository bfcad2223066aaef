// Good jobs: defaults, shorthands, overrides, the resolved form and the hash.
#include "dln/job/job.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "job_fixture.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(JobFixture, MinimalJobGetsAllDefaults) {
    const auto job = read_job(DLN_SOURCE_DIR "/tests/support/jobs/minimal.json");
    EXPECT_EQ(job.name, "minimal");
    EXPECT_EQ(job.run_dir, std::filesystem::current_path().string() + "/runs/minimal");
    EXPECT_EQ(job.keep, 0U);
    EXPECT_THAT(job.data.train.path,
                ::testing::EndsWith("/tests/support/jobs/minimal.train.jsonl"));
    EXPECT_EQ(job.data.train.format, DataFormat::json_lines);
    EXPECT_FALSE(job.data.dev.has_value());
    EXPECT_THAT(job.classes[1].verbalizers, ElementsAre("yes"));
    EXPECT_EQ(job.network.layers[0].templates[0].text, "{{prompt}}\n\n{{input}}");
    EXPECT_EQ(job.network.layers[0].templates[0].name, "t1");
    EXPECT_EQ(job.train.batch_size, TrainSpec{}.batch_size);
    EXPECT_EQ(job.train.proposals.templates.size(), 3U);
    EXPECT_EQ(job.backend.model, BackendSpec{}.model);
}

TEST_F(JobFixture, ShorthandsAreWrittenOut) {
    const auto job = parse(kValid);
    EXPECT_EQ(job.data.train.path, path("train.jsonl"));
    EXPECT_EQ(job.data.dev.value().format, DataFormat::csv);
    EXPECT_THAT(job.classes[0].verbalizers, ElementsAre("no"));
    EXPECT_THAT(job.classes[1].verbalizers, ElementsAre("yes", "true"));
    EXPECT_THAT(job.network.layers[0].prompts, ElementsAre("Even?"));
    EXPECT_EQ(job.network.layers[0].templates[0].text, "{{prompt}} {{input}}");
}

TEST_F(JobFixture, PromptsComeFromTextsAndFiles) {
    const auto job = valid_with(
        {{"/network/layers/0/prompt", R"(["a", {"file": "prompt.txt"}, "{{x}} \u0000 stays"])"}});
    EXPECT_THAT(job.network.layers[0].prompts,
                ElementsAre("a", "From a file.", std::string("{{x}} \0 stays", 13)));
}

TEST_F(JobFixture, TemplatesAreNamedByPosition) {
    const auto job = valid_with(
        {{"/network/layers/0/template",
          R"(["{{prompt}}{{input}}", {"name": "x", "text": "{{prompt}}{{input}}", "chat": true}, "{{prompt}} {{input}}"])"}});
    const auto& templates = job.network.layers[0].templates;
    EXPECT_EQ(templates[0].name, "t1");
    EXPECT_EQ(templates[1].name, "x");
    EXPECT_EQ(templates[2].name, "t3");
    EXPECT_EQ(templates[0].separator, "\n");
    EXPECT_EQ(templates[1].separator, "");
}

TEST_F(JobFixture, ProposalTemplatesMayBeBuiltInOrOwn) {
    const auto job = valid_with({{"/train/proposals/templates",
                                  R"(["paraphrase", {"name": "errors", "messages": "Be brief."},
            {"text": "{{prompt}}{{#errors}}{{input}}{{#output}}: {{output}}{{/output}}{{/errors}}"}])"}});
    const auto& templates = job.train.proposals.templates;
    EXPECT_EQ(templates[0].name, "paraphrase");
    EXPECT_EQ(templates[0].text, "");
    EXPECT_THAT(templates[1].messages, ElementsAre("Be brief."));
    EXPECT_EQ(templates[2].name, "p3");
}

TEST_F(JobFixture, ProposersAreAListWithShares) {
    const auto job = valid_with({{"/train/proposals", R"({"feedback": "Be brief.",
        "templates": ["edit", {"name": "crossover", "share": 0.5}, "list", {"name": "feedback"}]})"}});
    const auto& templates = job.train.proposals.templates;
    EXPECT_TRUE(asks_no_model(templates[0]));
    EXPECT_EQ(templates[0].share, 1.0);
    EXPECT_EQ(templates[1].share, 0.5);
    EXPECT_EQ(templates[2].prompts_a_reply, 4U);
    EXPECT_EQ(templates[3].prompts_a_reply, 1U);
    EXPECT_EQ(job.train.proposals.feedback, "Be brief.");
}

constexpr const char* kWithWords =
    R"({"prompt": "P", "words": {"input": ["Text", ""], "a_2": "Say"},
    "template": "{{prompt}} {{word.input}} {{input}} {{word.a_2}}"})";

TEST_F(JobFixture, WordsOfALayerKeepTheirOrder) {
    const auto job = valid_with({{"/network/layers/0", kWithWords},
                                 {"/train/proposals/templates", R"(["errors", "words"])"}});
    const auto& words = job.network.layers[0].words;
    ASSERT_EQ(words.size(), 2U);
    EXPECT_EQ(words[0].name, "input");
    EXPECT_THAT(words[0].alternatives, ElementsAre("Text", ""));
    EXPECT_EQ(words[1].name, "a_2");
    EXPECT_THAT(words[1].alternatives, ElementsAre("Say"));
    EXPECT_THAT(initial_words(job.network.layers[0]), ElementsAre("Text", "Say"));
    EXPECT_EQ(job_to_json(job_from_json(job_to_json(job).dump())), job_to_json(job));
}

TEST_F(JobFixture, PathsAreRelativeToTheJobFile) {
    const auto job = valid_with({{"/run_dir", "../out/x"},
                                 {"/backend/model", "models/a.gguf"},
                                 {"/backend/replies", "replies.jsonl"}});
    EXPECT_EQ(job.run_dir, std::filesystem::path(path("../out/x")).lexically_normal().string());
    EXPECT_EQ(job.backend.model, path("models/a.gguf"));
    EXPECT_EQ(job.backend.replies, path("replies.jsonl"));
}

TEST_F(JobFixture, FormatFollowsTheExtensionUnlessGiven) {
    EXPECT_EQ(valid_with({{"/data/train", "bbh.json"}}).data.train.format, DataFormat::bbh);
    const auto job = valid_with({{"/data/train", R"({"path": "prompt.txt", "format": "csv"})"}});
    EXPECT_EQ(job.data.train.format, DataFormat::csv);
}

TEST_F(JobFixture, LabelsKeepTheirOrder) {
    const auto job = valid_with({{"/data/train/labels", R"({"z": "yes", "a": "no"})"}});
    ASSERT_EQ(job.data.train.labels.size(), 2U);
    EXPECT_EQ(job.data.train.labels[0].first, "z");
    EXPECT_EQ(job.data.train.labels[1].second, "no");
}

TEST_F(JobFixture, KeepTakesAllOrANumber) {
    EXPECT_EQ(valid_with({{"/keep", "all"}}).keep, 0U);
    EXPECT_EQ(valid_with({{"/keep", "2"}}).keep, 2U);
}

TEST_F(JobFixture, NumbersMayBeAsLargeAsTheirType) {
    EXPECT_EQ(valid_with({{"/seed", "18446744073709551615"}}).seed, UINT64_MAX);
    EXPECT_EQ(valid_with({{"/train/steps", "1e3"}}).train.steps, 1000);
}

TEST_F(JobFixture, BackwardModelHasABackendOfItsOwn) {
    const auto one = parse(kValid);
    EXPECT_FALSE(one.backward_backend.has_value());
    EXPECT_EQ(backward_spec(one), one.backend);
    EXPECT_STREQ(backward_pointer(one), "/backend");
    const auto job = valid_with({{"/backward_backend",
                                  R"({"kind": "http", "endpoints": "http://127.0.0.1:8000",
                                      "price_output": 0.5})"}});
    EXPECT_EQ(job.backend, one.backend);
    EXPECT_EQ(backward_spec(job).endpoints.at(0).address, "http://127.0.0.1:8000");
    EXPECT_EQ(backward_spec(job).context_tokens, 2048);
    EXPECT_STREQ(backward_pointer(job), "/backward_backend");
    EXPECT_TRUE(uses_servers(job));
    EXPECT_TRUE(has_prices(job));
    EXPECT_FALSE(uses_servers(one));
    EXPECT_FALSE(has_prices(one));
}

TEST_F(JobFixture, BackwardBackendThatSaysTheSameIsNone) {
    const auto same = valid_with({{"/backward_backend", "{}"}});
    EXPECT_FALSE(same.backward_backend.has_value());
    EXPECT_TRUE(valid_with({{"/backward_backend/replies", "replies.jsonl"}}).backward_backend);
}

TEST_F(JobFixture, DeepNetworksAndFrozenLayersAreAccepted) {
    const auto job = valid_with(
        {{"/network/layers/0/residual", "{{input}}\nYour thoughts were: {{output}}"},
         {"/network/layers/1", R"({"prompt": "", "template": "{{input}}", "train": false})"}});
    EXPECT_EQ(job.network.layers.size(), 2U);
}

// ---- overrides -----------------------------------------------------------------------------------

TEST_F(JobFixture, OverridesTakeJsonOrText) {
    const auto job = valid_with({{"/train/steps", "5"},
                                 {"/train/held_out_ranking", "true"},
                                 {"/backend/kind", "scripted"},
                                 {"/scoring/separator", " "},
                                 {"/name", "a \"b"}});
    EXPECT_EQ(job.train.steps, 5);
    EXPECT_TRUE(job.train.held_out_ranking);
    EXPECT_EQ(job.backend.kind, BackendKind::scripted);
    EXPECT_EQ(job.scoring.separator, " ");
    EXPECT_EQ(job.name, "a \"b");
}

TEST_F(JobFixture, OverridesReachIntoShorthands) {
    const auto job = valid_with({{"/data/train/limit", "3"},
                                 {"/classes/0/verbalizers", R"(["no", "false"])"},
                                 {"/network/layers/0/prompts/0", "Odd?"},
                                 {"/network/layers/0/prompts/1", "Prime?"},
                                 {"/network/layers/0/templates/0/chat", "true"}});
    EXPECT_EQ(job.data.train.limit, 3U);
    EXPECT_EQ(job.data.train.path, path("train.jsonl"));
    EXPECT_THAT(job.classes[0].verbalizers, ElementsAre("no", "false"));
    EXPECT_THAT(job.network.layers[0].prompts, ElementsAre("Odd?", "Prime?"));
    EXPECT_TRUE(job.network.layers[0].templates[0].chat);
    EXPECT_EQ(job.network.layers[0].templates[0].text, "{{prompt}} {{input}}");
}

TEST_F(JobFixture, OverridesRemoveAndCreateOptionalParts) {
    EXPECT_FALSE(valid_with({{"/data/dev", "null"}}).data.dev.has_value());
    EXPECT_EQ(valid_with({{"/data/test/path", "train.jsonl"}}).data.test.value().path,
              path("train.jsonl"));
    EXPECT_EQ(valid_with({{"/train/proposals/top_p", "0.5"}}).train.proposals.top_p, 0.5);
}

TEST_F(JobFixture, LaterOverridesWin) {
    EXPECT_EQ(valid_with({{"/train/steps", "5"}, {"/train/steps", "6"}}).train.steps, 6);
}

TEST_F(JobFixture, NearestExamplesAreChosenByNgramsUnlessTheJobSaysOtherwise) {
    const Override nearest{"/network/layers/0/few_shot_choice", "nearest"};
    EXPECT_FALSE(valid_with({nearest}).embedding.has_value());
    EXPECT_EQ(nearest_shown(valid_with({nearest})), 0U);
    const Override four{"/network/layers/0/few_shot", "4"};
    EXPECT_FALSE(valid_with({four}).embedding.has_value());
    const auto job = valid_with({nearest, four});
    EXPECT_EQ(nearest_shown(job), 4U);
    EXPECT_EQ(job.embedding, EmbeddingSpec{});
    EXPECT_EQ(job.embedding->kind, EmbeddingKind::ngrams);
    EXPECT_FALSE(has_journal(job));
    const auto served = valid_with(
        {nearest, four, {"/embedding", R"({"kind": "http", "endpoints": "http://127.0.0.1:1"})"}});
    EXPECT_TRUE(has_journal(served));
    EXPECT_FALSE(uses_servers(served));
    EXPECT_EQ(backend_of(*served.embedding).dialect, "openai-embeddings");
    EXPECT_EQ(backend_of(*served.embedding).endpoints.at(0).address, "http://127.0.0.1:1");
}

// ---- the resolved job ----------------------------------------------------------------------------

TEST_F(JobFixture, ResolvedJobIsTheSameJob) {
    const auto job = valid_with({{"/data/test", "bbh.json"},
                                 {"/data/train/labels", R"({"z": "yes", "a": "no"})"},
                                 {"/keep", "2"},
                                 {"/seed", "18446744073709551615"},
                                 {"/network/layers/0/residual", "{{input}}{{output}}"},
                                 {"/network/layers/0/prompts", R"(["a", {"file": "prompt.txt"}])"},
                                 {"/backward_backend/weights", "f16"},
                                 {"/embedding/dimension", "64"},
                                 {"/train/tie_margin", "0.1"}});
    const auto resolved = job_to_json(job);
    const auto again = parse_job(resolved.dump(), "/elsewhere/job.json");
    EXPECT_EQ(job_to_json(again).dump(), resolved.dump());
    EXPECT_EQ(again.name, "tiny");
    EXPECT_EQ(job_hash(again, {}), job_hash(job, {}));
}

TEST_F(JobFixture, ResolvedJobWritesEveryDefaultOut) {
    const auto text = job_to_json(parse(kValid)).dump();
    for (
        const char* part :
        {R"("keep":"all")", R"("test":null)", R"("burn_in":0.05)", R"("prompts":["Even?"])",
         R"("separator":"\n")",
         R"({"name":"errors","text":"","messages":[],"chat":true,"share":1.0,"prompts_a_reply":1})",
         R"("kind":"embedded")"}) {
        EXPECT_THAT(text, HasSubstr(part));
    }
    EXPECT_THAT(text, Not(HasSubstr("tiny.json")));
}

TEST_F(JobFixture, ResolvedJobIsRebuiltWhereFilesCannotBeSeen) {
    const auto resolved = job_to_json(parse(kValid)).dump();
    std::filesystem::remove(path("train.jsonl"));
    EXPECT_THROW((void)parse(resolved), UsageError);
    EXPECT_EQ(job_to_json(job_from_json(resolved)).dump(), resolved);
}

TEST_F(JobFixture, HashIgnoresNamesPlacesStepsBudgetsAndThreads) {
    const auto job = parse(kValid);
    const auto hash = job_hash(job, {"d1", "d2"});
    EXPECT_EQ(hash.size(), 64U);
    std::filesystem::copy(path("train.jsonl"), path("moved.jsonl"));
    const auto moved = valid_with({{"/name", "other"},
                                   {"/run_dir", "/tmp/x"},
                                   {"/keep", "3"},
                                   {"/train/steps", "40"},
                                   {"/budget/tokens", "1000000"},
                                   {"/budget/money", "0.5"},
                                   {"/backend/price_input", "0.15"},
                                   {"/backend/price_output", "0.6"},
                                   {"/backend/threads", "2"},
                                   {"/backend/model", "models/a.gguf"},
                                   {"/backend/replies", "replies.jsonl"},
                                   {"/data/train/path", "moved.jsonl"}});
    EXPECT_EQ(job_hash(moved, {"d1", "d2"}), hash);
    const auto backward = valid_with({{"/backward_backend/weights", "f16"}});
    const auto elsewhere = valid_with({{"/backward_backend/weights", "f16"},
                                       {"/backward_backend/price_input", "0.15"},
                                       {"/backward_backend/model", "models/a.gguf"}});
    EXPECT_EQ(job_hash(elsewhere, {"d1"}), job_hash(backward, {"d1"}));
    const auto embedded = valid_with({{"/embedding/kind", "embedded"}});
    const auto other_model =
        valid_with({{"/embedding/kind", "embedded"}, {"/embedding/model", "models/a.gguf"}});
    EXPECT_EQ(job_hash(other_model, {"d1"}), job_hash(embedded, {"d1"}));
}

TEST_F(JobFixture, IdentityHasTheTaskFieldOnlyWhereOneIsNamed) {
    EXPECT_FALSE(job_identity(parse(kValid))["data"]["train"].contains("task_field"));
    const auto named = valid_with({{"/data/train/task_field", "kind"}});
    EXPECT_EQ(named.data.train.task_field, "kind");
    EXPECT_EQ(job_identity(named)["data"]["train"]["task_field"], "kind");
}

TEST_F(JobFixture, HashSeesTrainingAndContent) {
    const auto hash = job_hash(parse(kValid), {"d1", "d2"});
    EXPECT_NE(job_hash(parse(kValid), {"d2", "d1"}), hash);
    EXPECT_NE(job_hash(parse(kValid), {"d1d2"}), hash);
    EXPECT_NE(job_hash(valid_with({{"/seed", "1"}}), {"d1", "d2"}), hash);
    EXPECT_NE(job_hash(valid_with({{"/train/eval_every", "2"}}), {"d1", "d2"}), hash);
    EXPECT_NE(job_hash(valid_with({{"/backend/weights", "f16"}}), {"d1", "d2"}), hash);
    EXPECT_NE(job_hash(valid_with({{"/network/layers/0/prompt", "Odd?"}}), {"d1", "d2"}), hash);
    const auto words = valid_with({{"/network/layers/0", kWithWords}});
    const auto more = valid_with({{"/network/layers/0", kWithWords},
                                  {"/network/layers/0/words/input", R"(["Text", "", "x"])"}});
    EXPECT_NE(job_hash(more, {"d1"}), job_hash(words, {"d1"}));
    const auto backward = valid_with({{"/backward_backend/weights", "f16"}});
    EXPECT_NE(job_hash(backward, {"d1", "d2"}), hash);
    const auto other = valid_with({{"/backward_backend/weights", "as_is"}});
    EXPECT_NE(job_hash(other, {"d1", "d2"}), job_hash(backward, {"d1", "d2"}));
    EXPECT_NE(job_hash(valid_with({{"/embedding/dimension", "64"}}), {"d1", "d2"}),
              job_hash(valid_with({{"/embedding/dimension", "65"}}), {"d1", "d2"}));
}

}  // namespace
}  // namespace dln
