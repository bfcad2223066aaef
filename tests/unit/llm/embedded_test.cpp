// The embedded backend on a real model: the quick start's, from the model cache.

#include "dln/llm/embedded.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "dln/error.hpp"
#include "dln/llm/embedding.hpp"
#include "dln/llm/tokenizer.hpp"

#include "support/embedded_model.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kModel;
using ::testing::Lt;
using testing::model_path;
using ::testing::ThrowsMessage;

std::unique_ptr<Backend> fresh_backend() {
    return make_embedded_backend({.model = kModel, .context_tokens = 512});
}

/// Loaded once for all tests: what came before must not matter.
Backend& backend() {
    static const std::unique_ptr<Backend> shared = fresh_backend();
    return *shared;
}

ScoreReply score(Backend& model, const ScoreRequest& request) {
    return std::get<ScoreReply>(run_request(model, request).reply);
}

TargetScore score_one(const Context& context, const std::string& target) {
    return score(backend(), {{{context, {target}}}}).scores[0][0];
}

double sum(const TargetScore& score) {
    return std::accumulate(score.token_log_probs.begin(), score.token_log_probs.end(), 0.0);
}

GeneratedText generate(const GenerateRequest& request) {
    return std::get<GenerateReply>(run_request(backend(), request).reply).texts.at(0);
}

GenerateRequest continuing(const std::string& text, std::uint64_t seed, double temperature) {
    return {.items = {{{.text = text}, seed}}, .max_tokens = 8, .temperature = temperature};
}

/// A unit as training makes it: one prompt, several inputs, the classes as targets.
ScoreRequest a_unit() {
    const std::string prompt = "Decide whether the film review is positive or negative.\nReview: ";
    ScoreRequest request;
    for (const std::string review : {"I loved it.", "A waste of an evening.", "I loved it"}) {
        request.items.push_back({{.text = prompt + review, .shared_bytes = prompt.size()},
                                 {"\npositive", "\n positive", "\nneutral at best"}});
    }
    request.items.push_back({{.text = "Is water wet?", .chat = true}, {"Yes", "No, it is not"}});
    return request;
}

/// Log-probabilities of all tokens of all targets, one after another.
std::vector<double> flat(const ScoreReply& reply) {
    std::vector<double> all;
    for (const auto& item : reply.scores) {
        for (const TargetScore& score : item) {
            EXPECT_TRUE(score.ok()) << score.error;
            all.insert(all.end(), score.token_log_probs.begin(), score.token_log_probs.end());
        }
    }
    return all;
}

std::vector<Embedding> embed(std::vector<std::string> texts, Backend& model = backend()) {
    return std::get<EmbedReply>(run_request(model, EmbedRequest{.texts = std::move(texts)}).reply)
        .embeddings;
}

double likeness(const Embedding& a, const Embedding& b) {
    return cosine(normalised(a.values), normalised(b.values));
}

TEST(EmbeddedEmbeddings, TextsOfOneKindAreNearerThanOthers) {
    const auto vectors = embed({"The cat sleeps on the sofa.", "A kitten naps on the couch.",
                                "Interest rates rose by half a percent."});
    EXPECT_GT(likeness(vectors[0], vectors[1]), likeness(vectors[0], vectors[2]));
    EXPECT_GT(likeness(vectors[0], vectors[1]), likeness(vectors[1], vectors[2]));
}

TEST(EmbeddedEmbeddings, AreEqualWhateverWasComputedBefore) {
    const std::vector<std::string> texts{"good", "a longer text of some words", "bad"};
    const auto first = embed(texts);
    (void)score(backend(), a_unit());
    const auto second = embed(texts);
    const auto fresh = embed(texts, *fresh_backend());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        ASSERT_TRUE(first[i].ok()) << first[i].error;
        EXPECT_EQ(first[i].values.size(), 576U);
        EXPECT_EQ(first[i].values, second[i].values);
        EXPECT_EQ(first[i].values, fresh[i].values);
    }
}

TEST(EmbeddedEmbeddings, LeaveScoresAsTheyAre) {
    const std::vector<double> before = flat(score(backend(), a_unit()));
    (void)embed({"good", "bad"});
    EXPECT_EQ(flat(score(backend(), a_unit())), before);
}

// 300 words are cut into several decodes, and many short texts fill several too.
TEST(EmbeddedEmbeddings, DependLittleOnTheirCompany) {
    std::string long_text;
    for (int i = 0; i < 300; ++i) long_text += " word";
    std::vector<std::string> texts(40, "some words beside");
    texts[7] = long_text;
    texts[23] = "joy";
    const auto together = embed(texts);
    for (const std::size_t i : std::vector<std::size_t>{0, 7, 23, 39}) {
        const auto alone = embed({texts[i]});
        EXPECT_NEAR(likeness(together[i], alone[0]), 1.0, 1e-5) << i;
    }
}

TEST(EmbeddedEmbeddings, TextThatIsTooLongHasNoneAndOthersDo) {
    std::string long_text;
    for (int i = 0; i < 600; ++i) long_text += " word";
    const auto vectors = embed({"short", long_text, std::string(1 << 20, 'x')});
    EXPECT_TRUE(vectors[0].ok());
    EXPECT_THAT(vectors[1].error, HasSubstr("600 tokens is longer than 512"));
    EXPECT_THAT(vectors[2].error, HasSubstr("longer than 512 tokens"));
}

TEST(EmbeddedEmbeddings, TellTheirTokens) {
    const Completion completion = run_request(backend(), EmbedRequest{.texts = {"good", "good"}});
    EXPECT_EQ(completion.usage.requests, 2);
    EXPECT_EQ(completion.usage.prompt_tokens, 2);
    EXPECT_EQ(completion.usage.generated_tokens, 0);
}

TEST(EmbeddedScores, EqualThoseOfEveryTargetAlone) {
    const std::vector<double> together = flat(score(backend(), a_unit()));
    const std::vector<double> alone =
        flat(std::get<ScoreReply>(score_each_alone(backend(), a_unit()).reply));
    ASSERT_EQ(together.size(), alone.size());
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(together[i], alone[i], 1e-3) << i;
}

TEST(EmbeddedScores, AreBitEqualAfterOtherWorkAndInANewBackend) {
    const std::vector<double> first = flat(score(backend(), a_unit()));
    EXPECT_EQ(flat(score(backend(), a_unit())), first);  // the prefix is in the cache now
    (void)generate(continuing("Once upon a time", 1, 1.0));
    (void)score_one({.text = "Something else altogether"}, " it is");
    EXPECT_EQ(flat(score(backend(), a_unit())), first);
    const auto other = fresh_backend();
    (void)score(*other, {{{{.text = "First something else"}, {" and more"}}}});
    EXPECT_EQ(flat(score(*other, a_unit())), first);
}

TEST(EmbeddedScores, SharedBytesAreAHintOnly) {
    ScoreRequest without = a_unit();
    for (ScoreItem& item : without.items) item.context.shared_bytes = 0;
    const std::vector<double> wanted = flat(score(backend(), a_unit()));
    const std::vector<double> given = flat(score(backend(), without));
    ASSERT_EQ(given.size(), wanted.size());
    for (std::size_t i = 0; i < given.size(); ++i) EXPECT_NEAR(given[i], wanted[i], 1e-3) << i;
}

/// Items that share nothing with each other but the prompt; together more than one decode holds.
ScoreRequest large_unit() {
    const std::string prompt = "Decide whether the film review is positive or negative.\nReview: ";
    ScoreRequest request;
    for (int i = 0; i < 8; ++i) {
        std::string review = std::to_string(i * 7919) + " people";
        for (int k = 0; k < 8 + i; ++k) review += " saw it and";
        request.items.push_back({{.text = prompt + review, .shared_bytes = prompt.size()},
                                 {"\npositive", "\nnegative"}});
    }
    return request;
}

TEST(EmbeddedScores, NoContextIsComputedTwiceInALargeBlock) {
    const ScoreRequest unit = large_unit();
    (void)score(backend(), {{unit.items[0]}});  // from here on the prompt is in the cache
    std::vector<double> wanted;
    for (const ScoreItem& item : unit.items) {
        const Completion single = run_request(backend(), ScoreRequest{{item}});
        const std::vector<double> scores = flat(std::get<ScoreReply>(single.reply));
        wanted.insert(wanted.end(), scores.begin(), scores.end());
    }
    const Completion together = run_request(backend(), unit);
    EXPECT_GT(together.usage.evaluated_tokens, 256);
    EXPECT_LT(together.usage.evaluated_tokens, together.usage.standalone_tokens);
    const std::vector<double> scores = flat(std::get<ScoreReply>(together.reply));
    ASSERT_EQ(scores.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(scores[i], wanted[i], 1e-3) << i;
}

TEST(EmbeddedScores, MakeSense) {
    const Context context{.text = "The capital of France is"};
    EXPECT_GT(sum(score_one(context, " Paris")), sum(score_one(context, " Rome")));
    EXPECT_LT(sum(score_one(context, " Paris")), 0.0);
}

TEST(EmbeddedTokens, ControlTokensInDataAreOrdinaryText) {
    const Context plain{.text = "Say something<|im_end|>"};
    EXPECT_GT(backend().count_tokens(plain), backend().count_tokens({.text = "Say something"}) + 1);
    const TargetScore spelled = score_one({.text = "Say something"}, "<|im_end|>");
    EXPECT_GT(spelled.token_log_probs.size(), 1U);
}

TEST(EmbeddedTokens, ChatMarkupWrittenByHandIsNoChat) {
    const std::string question = "Is water wet?";
    const Context chat{.text = question, .chat = true};
    const Context by_hand{.text = "<|im_start|>user\n" + question +
                                  "<|im_end|>\n<|im_start|>assistant\n"};
    EXPECT_GT(backend().count_tokens(chat), backend().count_tokens({.text = question}));
    EXPECT_NE(score_one(chat, "Yes").token_log_probs, score_one(by_hand, "Yes").token_log_probs);
}

TEST(EmbeddedTokens, BeginTextIsATokenInFrontOfEveryPlainContext) {
    const std::string begin = "<|im_start|>";  // of this model
    const auto behind =
        make_embedded_backend({.model = kModel, .context_tokens = 512, .begin_text = begin});
    const Context plain{.text = "Is water wet?"};
    const Context chat{.text = "Is water wet?", .chat = true};
    EXPECT_EQ(behind->count_tokens(plain), backend().count_tokens(plain) + 1);
    EXPECT_EQ(behind->count_tokens(chat), backend().count_tokens(chat));
    const auto with = score(*behind, {{{plain, {"Yes"}}, {chat, {"Yes"}}}});
    EXPECT_NE(sum(with.scores[0][0]), sum(score_one(plain, "Yes")));
    EXPECT_NEAR(sum(with.scores[1][0]), sum(score_one(chat, "Yes")), 1e-3);
}

TEST(EmbeddedTokens, AnyBytesCanBeScored) {
    const TargetScore odd = score_one({.text = std::string("a\0b\xff\xfe", 5)}, "\x80\n");
    EXPECT_TRUE(odd.ok()) << odd.error;
}

TEST(EmbeddedLimits, TooLongContextIsAnErrorOfThatItemOnly) {
    std::string large;
    for (int i = 0; i < 600; ++i) large += "word ";
    ScoreRequest request = a_unit();
    request.items.insert(request.items.begin() + 1, {{.text = large}, {"\nyes", "\nno"}});
    ScoreReply reply = score(backend(), request);
    EXPECT_THAT(reply.scores[1][0].error, HasSubstr("512"));
    EXPECT_FALSE(reply.scores[1][1].ok());
    reply.scores.erase(reply.scores.begin() + 1);
    EXPECT_EQ(flat(reply), flat(score(backend(), a_unit())));
    GenerateRequest generation = continuing(large, 1, 0.0);
    generation.items.push_back({{.text = "Once upon a time"}, 1});
    const auto texts = std::get<GenerateReply>(run_request(backend(), generation).reply).texts;
    EXPECT_THAT(texts[0].error, HasSubstr("512"));
    EXPECT_TRUE(texts[1].ok());
}

TEST(EmbeddedLimits, MegabyteOfTextIsRefusedQuickly) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(score_one({.text = std::string(1 << 20, 'x')}, " y").ok());
    EXPECT_FALSE(generate(continuing(std::string(1 << 20, 'x'), 1, 0.0)).ok());
    EXPECT_THAT(std::chrono::steady_clock::now() - start, Lt(std::chrono::seconds(1)));
}

TEST(EmbeddedLimits, NothingToContinueOrToScoreIsAnError) {
    EXPECT_FALSE(generate(continuing("", 1, 0.0)).ok());
    EXPECT_FALSE(score_one({.text = "a"}, "").ok());
}

TEST(EmbeddedGeneration, SameRequestGivesTheSameText) {
    const GeneratedText first = generate(continuing("My favourite animal is", 7, 1.0));
    (void)generate(continuing("Something else", 8, 1.0));
    EXPECT_EQ(generate(continuing("My favourite animal is", 7, 1.0)).text, first.text);
    EXPECT_FALSE(first.text.empty());
}

TEST(EmbeddedGeneration, SeedsGiveDifferentTextsUnlessTemperatureIsZero) {
    const auto text = [](std::uint64_t seed, double temperature) {
        return generate(continuing("My favourite animal is", seed, temperature)).text;
    };
    EXPECT_NE(text(1, 1.0), text(2, 1.0));
    EXPECT_EQ(text(1, 0.0), text(2, 0.0));
}

TEST(EmbeddedGeneration, SeedDecidesInsideABatchToo) {
    GenerateRequest request = continuing("My favourite animal is", 1, 1.0);
    request.items.push_back({request.items[0].context, 2});
    const auto texts = std::get<GenerateReply>(run_request(backend(), request).reply).texts;
    EXPECT_NE(texts[0].text, texts[1].text);
}

TEST(EmbeddedGeneration, EndsBeforeAStop) {
    GenerateRequest request = continuing("One, two, three, four,", 1, 0.0);
    const std::string whole = generate(request).text;
    ASSERT_THAT(whole, HasSubstr("six"));
    request.stop = {"never said", "six"};
    const GeneratedText stopped = generate(request);
    EXPECT_EQ(stopped.text, whole.substr(0, whole.find("six")));
    EXPECT_FALSE(stopped.cut);
}

TEST(EmbeddedGeneration, EndsAtMaxTokensAndSaysSo) {
    GenerateRequest request = continuing("One, two, three, four,", 1, 0.0);
    request.max_tokens = 3;
    const GeneratedText cut = generate(request);
    EXPECT_TRUE(cut.cut);
    EXPECT_EQ(cut.tokens, 3);
    EXPECT_TRUE(generate(continuing("One, two, three, four,", 1, 0.0)).text.starts_with(cut.text));
}

TEST(EmbeddedTokenizer, EncodesAsTheBackendDoes) {
    const auto tokenizer = open_tokenizer(model_path());
    const Context plain{.text = "Is this good or bad?\nIt was fine."};
    const Context chat{.text = "Say <|im_end|> twice.", .chat = true};
    for (const Context& context : {plain, chat}) {
        EXPECT_EQ(static_cast<int>(tokenizer->encode(context).size()),
                  backend().count_tokens(context));
    }
    const auto context = tokenizer->encode(plain);
    const auto whole = tokenizer->encode(plain, "\npositive");
    ASSERT_GT(whole.size(), context.size());
    EXPECT_TRUE(std::equal(context.begin(), context.end(), whole.begin()));
    std::string text;
    for (const std::int32_t token : whole) text += tokenizer->piece(token);
    EXPECT_EQ(text, plain.text + "\npositive");
}

TEST(EmbeddedTokenizer, ItsEndTokenEndsGenerationAndIsNoText) {
    const auto tokenizer = open_tokenizer(model_path());
    EXPECT_TRUE(tokenizer->has_chat_template());
    EXPECT_EQ(tokenizer->vocabulary(), 49152U);
    ASSERT_TRUE(tokenizer->end_token());
    EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->end_token()));
    EXPECT_EQ(tokenizer->piece(*tokenizer->end_token()), "");
    const auto chat = tokenizer->encode({.text = "Hello", .chat = true});
    EXPECT_THAT(chat, ::testing::Contains(*tokenizer->end_token()));
    const auto spelt = tokenizer->encode({.text = "<|im_end|>"});
    EXPECT_THAT(spelt, ::testing::Not(::testing::Contains(*tokenizer->end_token())));
}

TEST(EmbeddedModel, MissingModelIsABackendErrorThatNamesIt) {
    EXPECT_THAT([] { (void)make_embedded_backend({.model = "/nonexistent/model.gguf"}); },
                ThrowsMessage<BackendError>(
                    AllOf(HasSubstr("/nonexistent/model.gguf"), HasSubstr("tools/setup"))));
}

TEST(EmbeddedModel, DamagedFileIsABackendErrorThatNamesIt) {
    const testing::TemporaryDirectory directory;
    const std::string half = directory / "half.gguf";
    std::filesystem::copy_file(model_path(), half);
    std::filesystem::resize_file(half, std::filesystem::file_size(half) / 2);
    const std::string text = directory / "text.gguf";
    std::ofstream(text) << "This is no model.";
    const std::string empty = directory / "empty.gguf";
    std::ofstream(empty).close();
    for (const std::string& path : {half, text, empty}) {
        for (const WeightType weights : {WeightType::as_is, WeightType::f32}) {
            EXPECT_THAT([&] { (void)make_embedded_backend({.model = path, .weights = weights}); },
                        ThrowsMessage<BackendError>(HasSubstr(path)));
        }
    }
}

/// What the program says when `cache` shall take the converted copy of the model; no file may grow beyond
/// `most_bytes`.
std::string refusal_of_cache(const std::string& cache, rlim_t most_bytes) {
    const std::string model = model_path();
    const char* set = std::getenv("DLN_CACHE");
    const std::optional<std::string> old_cache = set != nullptr ? std::optional(set) : std::nullopt;
    rlimit old_limit{};
    ::getrlimit(RLIMIT_FSIZE, &old_limit);
    const rlimit limit{most_bytes, old_limit.rlim_max};
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::setenv("DLN_CACHE", cache.c_str(), 1);
    std::string message;
    try {
        (void)make_embedded_backend({.model = model});
    } catch (const BackendError& error) {
        message = error.what();
    }
    ::unsetenv("DLN_CACHE");
    if (old_cache) ::setenv("DLN_CACHE", old_cache->c_str(), 1);
    ::setrlimit(RLIMIT_FSIZE, &old_limit);
    std::signal(SIGXFSZ, old_handler);
    return message;
}

TEST(EmbeddedModel, CacheThatCannotHoldTheConvertedModelIsToldWithTheRemedies) {
    const testing::TemporaryDirectory directory;
    std::ofstream(directory / "file").close();
    const auto names_the_remedies =
        AllOf(HasSubstr(directory.path()), HasSubstr("Set DLN_CACHE to a folder"),
              HasSubstr("\"weights\": \"as_is\""));
    EXPECT_THAT(refusal_of_cache(directory / "file/cache", RLIM_INFINITY),
                AllOf(names_the_remedies, HasSubstr("Not a directory")));
    EXPECT_THAT(refusal_of_cache(directory / "small", 10'000'000),
                AllOf(names_the_remedies, HasSubstr("no room")));
    for (const auto& left : std::filesystem::directory_iterator(directory / "small/models")) {
        EXPECT_EQ(left.path().filename(), ".convert.lock") << "left behind";
    }
}

TEST(EmbeddedModel, MoreContextThanItWasTrainedWithIsRefused) {
    EXPECT_THAT([] { (void)make_embedded_backend({.model = kModel, .context_tokens = 1 << 20}); },
                ThrowsMessage<BackendError>(HasSubstr("/backend/context_tokens")));
}

TEST(EmbeddedModel, SaysWhatItIs) {
    EXPECT_EQ(backend().info().kind, "embedded");
    EXPECT_THAT(backend().info().model, AllOf(HasSubstr(kModel), HasSubstr("f32")));
    EXPECT_EQ(backend().info().context_tokens, 512);
    EXPECT_TRUE(backend().info().has_chat_template);
}

}  // namespace
}  // namespace dln
