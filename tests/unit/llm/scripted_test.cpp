// The backend without a model: pure replies, in any order, from a hash or a file.

#include "dln/llm/scripted.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

ScoreRequest scores_of(const std::string& context, std::vector<std::string> targets) {
    return {{{.context = {.text = context}, .targets = std::move(targets)}}};
}

GenerateRequest text_of(const std::string& context,
                        std::uint64_t seed = 0,
                        double temperature = 0.7) {
    GenerateRequest request;
    request.items.push_back({.context = {.text = context}, .seed = seed});
    request.temperature = temperature;
    return request;
}

class Scripted : public ::testing::Test {
  protected:
    ~Scripted() override { std::filesystem::remove(path_); }

    TargetScore score(const std::string& context, const std::string& target) {
        return std::get<ScoreReply>(run_request(*backend_, scores_of(context, {target})).reply)
            .scores.at(0)
            .at(0);
    }
    GeneratedText generate(const GenerateRequest& request) {
        return std::get<GenerateReply>(run_request(*backend_, request).reply).texts.at(0);
    }
    void use(const ScriptedOptions& options) { backend_ = make_scripted_backend(options); }
    void use_replies(const std::string& lines) {
        std::ofstream(path_) << lines;
        use({.replies_path = path_});
    }
    Backend& backend() { return *backend_; }
    const std::string& path() const { return path_; }

  private:
    std::string path_ =
        ::testing::TempDir() + "dln-replies-" + std::to_string(::getpid()) + ".jsonl";
    std::unique_ptr<Backend> backend_ = make_scripted_backend({});
};

TEST_F(Scripted, LogProbsAreFiniteAndBelowZeroOneForEachWord) {
    const TargetScore four = score("context", "\none two  three\nfour ");
    EXPECT_TRUE(four.ok());
    EXPECT_THAT(four.token_log_probs, SizeIs(4));
    EXPECT_THAT(four.token_log_probs, Each(AllOf(Gt(-6.0), Lt(0.0))));
    EXPECT_THAT(score("context", "\n").token_log_probs, SizeIs(1));
    EXPECT_THAT(score("context", "x").token_log_probs, SizeIs(1));
}

TEST_F(Scripted, ScoresAreThoseOfEveryBuildAndMachine) {
    EXPECT_DOUBLE_EQ(score("Is it good?", "\nyes").token_log_probs.at(0), -5.5267506591860673);
    EXPECT_EQ(generate(text_of("Is it good?", 3)).text,
              "a with or decide carefully or first about.");
}

TEST_F(Scripted, ScoreDependsOnContextAndTarget) {
    const auto value = [this](const char* context, const char* target) {
        return score(context, target).token_log_probs;
    };
    EXPECT_EQ(value("a", "b"), value("a", "b"));
    EXPECT_NE(value("a", "b"), value("a", "c"));
    EXPECT_NE(value("a", "b"), value("b", "b"));
    EXPECT_NE(value("a", "bb"), value("ab", "b"));
}

TEST_F(Scripted, ScoreDependsNeitherOnNeighboursNorOnHints) {
    ScoreRequest request = scores_of("a", {"x", "y"});
    request.items.push_back({.context = {.text = "b", .shared_bytes = 1}, .targets = {"y", "x"}});
    const auto reply = std::get<ScoreReply>(run_request(backend(), request).reply);
    EXPECT_EQ(reply.scores[0][1].token_log_probs, score("a", "y").token_log_probs);
    EXPECT_EQ(reply.scores[1][0].token_log_probs, score("b", "y").token_log_probs);
    EXPECT_EQ(reply.scores[1][1].token_log_probs, score("b", "x").token_log_probs);
}

TEST_F(Scripted, SampleDependsOnTheSeedUnlessTemperatureIsZero) {
    EXPECT_EQ(generate(text_of("a", 1)).text, generate(text_of("a", 1)).text);
    EXPECT_NE(generate(text_of("a", 1)).text, generate(text_of("a", 2)).text);
    EXPECT_NE(generate(text_of("a", 1)).text, generate(text_of("b", 1)).text);
    EXPECT_EQ(generate(text_of("a", 1, 0.0)).text, generate(text_of("a", 2, 0.0)).text);
}

TEST_F(Scripted, GenerationEndsAtMaxTokens) {
    GenerateRequest request = text_of("a", 1);
    request.max_tokens = 2;
    const GeneratedText cut = generate(request);
    EXPECT_TRUE(cut.cut);
    EXPECT_EQ(cut.tokens, 2);
    EXPECT_THAT(cut.text, SizeIs(8));
    request.max_tokens = 64;
    EXPECT_FALSE(generate(request).cut);
}

TEST_F(Scripted, CutNeverSplitsACharacter) {
    use_replies(R"({"match":"","text":"aaä€🙂"})");
    GenerateRequest request = text_of("a");
    request.max_tokens = 2;  // 8 bytes would end inside the last character
    EXPECT_EQ(generate(request).text, "aaä€");
}

TEST_F(Scripted, GenerationEndsBeforeTheFirstStop) {
    use_replies(R"({"match":"","text":"one two three"})");
    GenerateRequest request = text_of("a");
    request.stop = {"three", " two"};
    EXPECT_EQ(generate(request).text, "one");
    EXPECT_FALSE(generate(request).cut);
}

TEST_F(Scripted, TooLongContextIsAnErrorOfThatItemAlone) {
    use({.context_tokens = 10});
    ScoreRequest request = scores_of(std::string(37, 'a'), {"b"});
    request.items.push_back({.context = {.text = "short"}, .targets = {"b", std::string(40, 'c')}});
    const auto reply = std::get<ScoreReply>(run_request(backend(), request).reply);
    EXPECT_EQ(reply.scores[0][0].error, "a context of 11 tokens exceeds the 10 of this backend");
    EXPECT_TRUE(reply.scores[1][0].ok());
    EXPECT_FALSE(reply.scores[1][1].ok());
    GenerateRequest generation = text_of(std::string(20, 'a'));
    generation.max_tokens = 6;
    EXPECT_THAT(generate(generation).error, HasSubstr("11 tokens exceeds the 10"));
    generation.max_tokens = 5;
    EXPECT_TRUE(generate(generation).ok());
}

TEST_F(Scripted, NothingToScoreOrToContinueIsAnError) {
    EXPECT_FALSE(score("a", "").ok());
    EXPECT_FALSE(generate(text_of("")).ok());
}

TEST_F(Scripted, UsageCountsEveryItemAlone) {
    ScoreRequest request = scores_of("12345678", {"1234", "12345"});
    request.items.push_back({.context = {.text = "1"}, .targets = {"1"}});
    const Usage usage = run_request(backend(), request).usage;
    EXPECT_EQ(usage.calls, 2);
    EXPECT_EQ(usage.standalone_tokens, 2 + 1 + 2 + 1 + 1);
    EXPECT_EQ(usage.evaluated_tokens, usage.standalone_tokens);
    EXPECT_EQ(usage.generated_tokens, 0);
    use_replies(R"({"match":"","text":"12345"})");
    EXPECT_EQ(run_request(backend(), text_of("12345678")).usage, (Usage{.calls = 1,
                                                                        .standalone_tokens = 4,
                                                                        .evaluated_tokens = 4,
                                                                        .generated_tokens = 2,
                                                                        .requests = 1,
                                                                        .prompt_tokens = 2}));
}

TEST_F(Scripted, LatencyChangesTheOrderOfCompletionsAndNothingElse) {
    use({.latency_polls = 5});
    const auto run = [this] {
        std::vector<std::uint64_t> order;
        std::map<std::uint64_t, std::vector<double>> values;
        for (std::uint64_t id = 0; id < 20; ++id) {
            backend().submit(id, scores_of("c" + std::to_string(id), {"t"}));
        }
        for (int polls = 0; polls < 5; ++polls) {
            for (const Completion& completion : backend().poll(std::chrono::milliseconds(0))) {
                order.push_back(completion.id);
                values[completion.id] =
                    std::get<ScoreReply>(completion.reply).scores[0][0].token_log_probs;
            }
        }
        EXPECT_THAT(order, SizeIs(20));
        return std::pair(order, values);
    };
    const auto [order, values] = run();
    EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    EXPECT_EQ(run().first, order);
    use({});
    for (const auto& [id, value] : values) {
        EXPECT_EQ(score("c" + std::to_string(id), "t").token_log_probs, value);
    }
}

TEST_F(Scripted, FirstLineOfTheFileThatFitsDecidesElseTheHash) {
    const std::vector<double> by_hash = score("a film", "\nno").token_log_probs;
    use_replies(R"({"match":"good","text":"first"}

{"match":"a","text":"second"}
{"match":"good","target":"\nyes","log_prob":-0.25}
{"match":"","target":"\nyes","log_prob":-2}
)");
    EXPECT_EQ(generate(text_of("a good film")).text, "first");
    EXPECT_EQ(generate(text_of("a film")).text, "second");
    EXPECT_THAT(score("a good film", "\nyes").token_log_probs, ElementsAre(-0.25));
    EXPECT_THAT(score("a film", "\nyes").token_log_probs, ElementsAre(-2.0));
    EXPECT_EQ(score("a film", "\nno").token_log_probs, by_hash);
}

TEST_F(Scripted, MalformedFileIsAUsageErrorWithItsLine) {
    const std::map<std::string, std::string> faults{
        {"{\"match\":\"a\"", "parse error"},
        {"[1]", "JSON object"},
        {R"({"match":"a"})", "either \"text\" or \"target\""},
        {R"({"match":"a","text":"b","target":"c"})", "either"},
        {R"({"text":"b"})", "\"match\" must be a text"},
        {R"({"match":"a","text":1})", "\"text\" must be a text"},
        {R"({"match":"a","target":"b"})", "\"log_prob\""},
        {R"({"match":"a","target":"b","log_prob":0.5})", "not above 0"},
        {R"({"match":"a","txt":"b"})", "unknown field \"txt\""},
        {"{\"match\":\"\xff\",\"text\":\"b\"}", "UTF-8"}};
    for (const auto& [line, reason] : faults) {
        const std::string lines = "{\"match\":\"a\",\"text\":\"b\"}\n\n" + line;
        EXPECT_THAT([&] { use_replies(lines); },
                    ThrowsMessage<UsageError>(AllOf(HasSubstr(path() + ":3"), HasSubstr(reason))));
    }
}

TEST_F(Scripted, MissingFileIsAUsageErrorWithTheReason) {
    EXPECT_THAT([this] { use({.replies_path = "/nonexistent/replies.jsonl"}); },
                ThrowsMessage<UsageError>(
                    AllOf(HasSubstr("/nonexistent/replies.jsonl"), HasSubstr("No such file"))));
    EXPECT_THAT([this] { use({.replies_path = "/tmp"}); },
                ThrowsMessage<UsageError>(HasSubstr("/tmp")));
}

TEST_F(Scripted, SaysWhichRepliesItGives) {
    const std::string by_hash = backend().info().model;
    use_replies(R"({"match":"","text":"a"})");
    const std::string first = backend().info().model;
    use_replies(R"({"match":"","text":"b"})");
    EXPECT_NE(first, by_hash);
    EXPECT_NE(first, backend().info().model);
    EXPECT_EQ(backend().info().kind, "scripted");
}

}  // namespace
}  // namespace dln
