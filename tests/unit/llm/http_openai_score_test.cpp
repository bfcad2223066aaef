// Scores by echo over /v1/completions where token ids are sent (vLLM): calls, replies, lists.

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A conversation in which both texts are tokenised already; call 2 is the prompt.
Conversation tokenised(const Server& server = by_tokens(vllm())) {
    Conversation talk = server.score(is_it_good());
    EXPECT_THAT(talk.take_fixture(0, "vllm_tokenize_context"), HasKind(kTaken));
    EXPECT_THAT(talk.take_fixture(1, "vllm_tokenize_target"), HasKind(kTaken));
    return talk;
}

// --- with a tokeniser

TEST(OpenAiScore, TokenisesContextAndWholeTextThenSendsIds) {
    Conversation talk = by_tokens(vllm()).score(is_it_good());
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.path(0), "/tokenize");
    EXPECT_EQ(talk.body(0),
              Json::parse(R"({"model":"m","prompt":"Is it good?","add_special_tokens":true})"));
    EXPECT_EQ(talk.body(1)["prompt"], "Is it good?\nyes");
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take_fixture(1, "vllm_tokenize_target");
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.path(2), "/v1/completions");
    EXPECT_EQ(talk.body(2), neutral(Json::parse(R"({"model":"m","prompt":[11,12,13,14,15,16],
        "echo":true,"logprobs":1,"max_tokens":1,"return_token_ids":true,
        "return_tokens_as_token_ids":true})")));
    EXPECT_EQ(talk.calls()[2].estimated_tokens, 7);
}

TEST(OpenAiScore, AsksVllmForTheTokensSentOnly) {
    Server server = by_tokens(vllm());
    server.facts.software = "vllm 0.12.0";
    EXPECT_EQ(tokenised(server).body(2)["logprobs"], 0);
}

TEST(OpenAiScore, ScoresTheTokensBehindTheContext) {
    Conversation talk = tokenised();
    EXPECT_FALSE(talk.done());
    EXPECT_THAT(talk.take_fixture(2, "vllm_echo_ids"), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    EXPECT_EQ(talk.usage(), (Usage{.calls = 1,
                                   .standalone_tokens = 6,
                                   .evaluated_tokens = 7,
                                   .requests = 1,
                                   .prompt_tokens = 6,
                                   .discarded_tokens = 1}));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
}

TEST(OpenAiScore, GeneratedEntryMayBeMissing) {
    Json reply = fixture_json("vllm_echo_ids");
    Json& log_probs = reply["choices"][0]["logprobs"];
    log_probs["tokens"].erase(6);
    log_probs["token_logprobs"].erase(6);
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
}

TEST(OpenAiScore, ContextIsTokenisedOnceForAllTargets) {
    Conversation talk = by_tokens(vllm()).score(is_it_good({"\nyes", "\nno"}));
    EXPECT_THAT(talk.calls(), SizeIs(3));
}

TEST(OpenAiScore, TokenThatMergesOverTheBoundaryBelongsToTheTarget) {
    // Alone the context has 4 tokens, in the whole its last one has merged with the target's first.
    Conversation talk = by_tokens(vllm()).score(is_it_good());
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take(1, R"({"tokens":[11,12,13,99,16]})");
    talk.take(2, R"({"choices":[{"index":0,"text":"","logprobs":{"tokens":["token_id:11",
        "token_id:12","token_id:13","token_id:99","token_id:16"],
        "token_logprobs":[null,-1,-2,-3,-4]}}]})");
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-4.0));
}

TEST(OpenAiScore, TargetWithoutTokensOfItsOwnFails) {
    Conversation talk = by_tokens(vllm()).score(is_it_good());
    talk.take_fixture(1, "vllm_tokenize_context");
    talk.take_fixture(0, "vllm_tokenize_context");
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.score(), FailsWith("adds no token"));
}

TEST(OpenAiScore, ContextWithoutTokensFails) {
    Conversation talk = by_tokens(vllm()).score(is_it_good());
    talk.take(0, R"({"tokens":[]})");
    talk.take_fixture(1, "vllm_tokenize_target");
    EXPECT_THAT(talk.score(), FailsWith("nothing predicts the target"));
}

TEST(OpenAiScore, TextBeyondTheContextLengthIsNotSent) {
    Server server = by_tokens(vllm());
    server.facts.context_tokens = 5;
    Conversation talk = tokenised(server);
    EXPECT_THAT(talk.calls(), SizeIs(2));
    EXPECT_THAT(talk.score(), FailsWith("4 tokens leaves no room for 2 more within 5"));
}

TEST(OpenAiScore, RefusalOfAPromptCarriesTheServersWords) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.fail(2, 400, fixture("vllm_error_too_long")), HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("HTTP 400): This model's maximum context length is 4096"));
}

TEST(OpenAiScore, SilenceOfTheServerFailsWithTheClientsReason) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.fail(2, 0, "", "no answer within 120 s, 5 tries"), HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("no answer within 120 s, 5 tries"));
}

TEST(OpenAiScore, FailedTokeniserFailsWhatDependsOnIt) {
    Conversation talk = by_tokens(vllm()).score(is_it_good({"\nyes", "\nno"}));
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take_fixture(1, "vllm_tokenize_target");
    EXPECT_THAT(talk.fail(2, 404, R"({"detail":"Not Found"})"), HasKind(kRefused));
    talk.take_fixture(3, "vllm_echo_ids");
    const auto scores = talk.scores();
    EXPECT_TRUE(scores[0][0].ok()) << scores[0][0].error;
    EXPECT_THAT(scores[0][1], FailsWith("Not Found"));
}

// --- what must hold of a reply

TEST(OpenAiScore, MalformedReplyLeavesTheCallOpenForAnother) {
    const std::string good = fixture("vllm_echo_ids");
    const char* const one = "vllm_echo_ids";
    const std::vector<std::string> bad{
        "",
        good.substr(0, good.size() / 2),
        "<html>502</html>",
        "[]",
        "null",
        R"({"error":{"message":"overloaded"}})",
        changed(one, "/choices", Json::array()),
        changed(one, "/choices", nullptr),
        changed(one, "/choices/0/index", 1),
        changed(one, "/choices/0/index", -1),
        changed(one, "/choices/0/index", "0"),
        changed(one, "/choices/0/index", nullptr),
        changed(one, "/choices/1", fixture_json(one)["choices"][0]),
        changed(one, "/choices/0/logprobs/tokens", Json::array({"token_id:11"})),
        changed(one, "/choices/0/logprobs/token_logprobs/7", -1.0),
        changed(one, "/choices/0/logprobs/tokens/3", 14),
        changed(one, "/choices/0/logprobs/tokens", nullptr),
        changed(one, "/choices/0/logprobs", 7),
        changed(one, "/choices/0/logprobs/token_logprobs/5", nullptr),
        changed(one, "/choices/0/logprobs/token_logprobs/5", "-2.25"),
        changed(one, "/choices/0/logprobs/token_logprobs/5", 0.5),
        changed(one, "/choices/0/logprobs/token_logprobs/4", Json::array()),
        changed(one, "/choices/0/prompt_token_ids/5", 17),
        changed(one, "/choices/0/prompt_token_ids/5", "16"),
    };
    Conversation talk = tokenised();
    for (const std::string& body : bad) {
        const Verdict verdict = talk.take(2, body);
        EXPECT_THAT(verdict, HasKind(kMalformed)) << body;
        EXPECT_THAT(verdict.reason, ::testing::Not(IsEmpty()));
        EXPECT_FALSE(talk.done());
    }
    EXPECT_THAT(talk.take(2, good), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
}

TEST(OpenAiScore, MalformedTokensLeaveTheCallOpen) {
    Conversation talk = by_tokens(vllm()).score(is_it_good());
    for (const char* bad : {R"({"tokens":["a"]})", R"({"tokens":7})", R"({"count":4})", "[1]"}) {
        EXPECT_THAT(talk.take(0, bad), HasKind(kMalformed)) << bad;
    }
    EXPECT_THAT(talk.take_fixture(0, "vllm_tokenize_context"), HasKind(kTaken));
}

TEST(OpenAiScore, ValuesOutsideTheTargetAreNotLookedAt) {
    Conversation talk = tokenised();
    EXPECT_THAT(
        talk.take(2, changed("vllm_echo_ids", "/choices/0/logprobs/token_logprobs/2", nullptr)),
        HasKind(kTaken));
}

TEST(OpenAiScore, StandInForMinusInfinityFailsTheTargetAtOnce) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take_fixture(2, "vllm_echo_floor"), HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("stand-in for minus infinity to token 1"));
}

TEST(OpenAiScore, IgnoredEchoIsBroken) {
    for (const char* name : {"llama_server_ignored_echo", "tgi_ignored_echo"}) {
        Conversation talk = tokenised();
        const Verdict verdict = talk.take_fixture(2, name);
        EXPECT_THAT(verdict, HasKind(kBroken)) << name;
        EXPECT_THAT(verdict.reason, HasSubstr("llama-server (forced tokens)"));
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.score(), FailsWith("echo is ignored"));
    }
}

TEST(OpenAiScore, EchoOfTheGeneratedTokenOnlyIsBroken) {
    Json reply = fixture_json("vllm_echo_ids");
    reply["choices"][0]["logprobs"] = {{"tokens", {"token_id:17"}}, {"token_logprobs", {-0.75}}};
    reply["choices"][0].erase("prompt_token_ids");
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("echo is ignored"));
}

TEST(OpenAiScore, OtherTokensThanThoseSentAreBroken) {
    Json reply = fixture_json("vllm_echo_ids");
    reply["choices"][0]["logprobs"]["tokens"][1] = "token_id:77";
    reply["choices"][0]["prompt_token_ids"][1] = 77;
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("token 77 at place 1 where 12 was sent"));
}

TEST(OpenAiScore, PromptCutSilentlyIsBroken) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, changed("vllm_echo_ids", "/usage/prompt_tokens", 5)),
                HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("5 prompt tokens where there are 6: it cuts"));
}

TEST(OpenAiScore, ValuesWithoutTheirTokensAreMalformed) {
    Conversation talk = tokenised();
    EXPECT_THAT(
        talk.take(2, changed("vllm_echo_ids", "/choices/0/logprobs/token_logprobs/7", -1.0)).reason,
        HasSubstr("differ in length"));
}

TEST(OpenAiScore, EchoOfACutPromptIsBroken) {
    Json reply = fixture_json("vllm_echo_ids");
    reply["choices"][0]["logprobs"]["tokens"].erase(5);
    reply["choices"][0]["logprobs"]["token_logprobs"].erase(5);
    reply["choices"][0]["prompt_token_ids"].erase(5);
    reply["usage"]["prompt_tokens"] = 5;
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("it cuts prompts silently"));
}

TEST(OpenAiScore, ErrorWithStatus200IsMalformedWithTheServersWords) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take(2, R"({"error":{"message":"overloaded"}})").reason,
                HasSubstr("overloaded"));
}

TEST(OpenAiScore, BrokenEndsTheWholeExchange) {
    Server server = by_tokens(vllm());
    Conversation talk = server.score(is_it_good({"\nyes", "\nno"}));
    for (std::size_t i = 0; i < 3; ++i) {
        talk.take_fixture(i, i == 0 ? "vllm_tokenize_context" : "vllm_tokenize_target");
    }
    ASSERT_THAT(talk.calls(), SizeIs(5));
    talk.take_fixture(3, "vllm_echo_ids");
    talk.take_fixture(4, "tgi_ignored_echo");
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.take_fixture(3, "vllm_echo_ids"), HasKind(kBroken));
    EXPECT_THAT(talk.fail(3, 0), HasKind(kBroken));
    EXPECT_THAT(talk.scores()[0], ::testing::Each(FailsWith("echo")));
}

TEST(OpenAiScore, OlderServerThatReturnsTextsForIdsIsCheckedByTexts) {
    Conversation talk = tokenised();
    EXPECT_THAT(talk.take_fixture(2, "sglang_echo_openai"), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
}

// --- lists

/// Two targets whose texts are tokenised, in one list; call 3 is the list.
Conversation listed() {
    Server server = by_tokens(vllm());
    server.facts.prompts_a_call = 2;
    Conversation talk = server.score(is_it_good({"\nyes", "\nno"}));
    talk.take(2, R"({"tokens":[11,12,13,14,15,18]})");
    talk.take_fixture(1, "vllm_tokenize_target");
    EXPECT_THAT(talk.calls(), SizeIs(3));
    talk.take_fixture(0, "vllm_tokenize_context");
    EXPECT_THAT(talk.calls(), SizeIs(4));
    return talk;
}

TEST(OpenAiScoreList, HoldsPromptsInTheOrderOfTheRequest) {
    Conversation talk = listed();
    EXPECT_EQ(talk.body(3)["prompt"], Json::parse("[[11,12,13,14,15,16],[11,12,13,14,15,18]]"));
    EXPECT_EQ(talk.calls()[3].prompts, 2);
    EXPECT_EQ(talk.calls()[3].estimated_tokens, 14);
}

TEST(OpenAiScoreList, PermutedChoicesArePutRightByIndex) {
    Conversation talk = listed();
    EXPECT_THAT(talk.take_fixture(3, "vllm_echo_two_permuted"), HasKind(kTaken));
    const auto scores = talk.scores();
    EXPECT_THAT(scores[0][0].token_log_probs, ElementsAre(-0.5, -2.25));
    EXPECT_THAT(scores[0][1].token_log_probs, ElementsAre(-0.5, -6.5));
}

TEST(OpenAiScoreList, MissingOrDoubleIndexIsMalformed) {
    Conversation talk = listed();
    Json one_short = fixture_json("vllm_echo_two_permuted");
    one_short["choices"].erase(0);
    EXPECT_THAT(talk.take(3, one_short.dump()), HasKind(kMalformed));
    EXPECT_THAT(talk.take(3, changed("vllm_echo_two_permuted", "/choices/0/index", 0)),
                HasKind(kMalformed));
    EXPECT_THAT(talk.take(3, changed("vllm_echo_two_permuted", "/choices/0/index", 2)),
                HasKind(kMalformed));
}

TEST(OpenAiScoreList, IsSplitWhenOnePromptCanBeTheCause) {
    for (const int status : {400, 413, 422, 500}) {
        Conversation talk = listed();
        EXPECT_THAT(talk.fail(3, status, "list"), HasKind(kTaken));
        ASSERT_THAT(talk.calls(), SizeIs(6));
        EXPECT_EQ(talk.body(4)["prompt"], Json::parse("[11,12,13,14,15,16]"));
        EXPECT_EQ(talk.body(5)["prompt"], Json::parse("[11,12,13,14,15,18]"));
        EXPECT_THAT(talk.take_fixture(4, "vllm_echo_ids"), HasKind(kTaken));
        EXPECT_THAT(talk.fail(5, status, fixture("vllm_error_too_long")), HasKind(kRefused));
        EXPECT_EQ(talk.usage().requests, 2) << "the list counts with its parts";
        EXPECT_EQ(talk.usage().prompt_tokens, 6);
        EXPECT_EQ(talk.usage().discarded_tokens, 1);
        const auto scores = talk.scores();
        EXPECT_THAT(scores[0][0].token_log_probs, ElementsAre(-0.5, -2.25));
        // What the client says of an error of the server tells how often it was tried.
        EXPECT_THAT(scores[0][1], FailsWith(status < 500 ? "maximum context length" : "gave up"));
    }
}

TEST(OpenAiScoreList, IsSplitWhenItsRepliesWereMalformed) {
    Conversation talk = listed();
    Json one_null = fixture_json("vllm_echo_two_permuted");
    one_null["choices"][0]["logprobs"]["token_logprobs"][5] = nullptr;
    EXPECT_THAT(talk.take(3, one_null.dump()), HasKind(kMalformed));
    EXPECT_THAT(talk.fail(3, 0), HasKind(kTaken));
    EXPECT_THAT(talk.calls(), SizeIs(6));
}

TEST(OpenAiScoreList, IsNotSplitWhenTheServerIsGone) {
    for (const int status : {0, 401, 429, 503}) {
        Conversation talk = listed();
        EXPECT_THAT(talk.fail(3, status), HasKind(kRefused));
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.scores()[0], ::testing::Each(FailsWith("")));
    }
}

TEST(OpenAiScoreList, CompositionDoesNotDependOnTheOrderOfReplies) {
    Server server = by_tokens(vllm());
    server.facts.prompts_a_call = 2;
    const auto prompts = [&](std::vector<std::size_t> order) {
        Conversation talk = server.score(is_it_good({"\na", "\nb", "\nc"}));
        for (const std::size_t i : order) {
            Json tokens = fixture_json("vllm_tokenize_context")["tokens"];
            if (i > 0) tokens.push_back(100 + i);
            talk.take(i, Json{{"tokens", tokens}}.dump());
        }
        EXPECT_THAT(talk.calls(), SizeIs(6));
        return std::make_pair(talk.body(4), talk.body(5));
    };
    EXPECT_EQ(prompts({0, 1, 2, 3}), prompts({3, 0, 2, 1}));
}

}  // namespace
}  // namespace dln::http
