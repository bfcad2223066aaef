// Scores in the servers' own ways: Together, SGLang, TGI, and llama-server by forced tokens.

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const auto kYes = ElementsAre(-0.5, -2.25);

Server tokenising(const char* dialect) {
    Server server(dialect);
    server.facts.can_tokenise = true;
    return server;
}

// --- Together

TEST(TogetherScore, ReadsThePromptAndNotTheChoices) {
    Server server("together");
    server.facts.prompts_a_call = 8;  // it takes one all the same
    Conversation talk = server.score(is_it_good());
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.body(0), Json::parse(R"({"model":"m","prompt":"Is it good?\nyes","echo":true,
        "logprobs":1,"max_tokens":1,"temperature":0.0,"top_p":1.0,"repetition_penalty":1.0})"));
    EXPECT_EQ(talk.body(1)["prompt"], "Is it good?");
    EXPECT_THAT(talk.take_fixture(0, "together_echo"), HasKind(kTaken));
    EXPECT_THAT(talk.take_fixture(1, "together_echo_context"), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, kYes);
}

TEST(TogetherScore, ReplyWithoutScoresOfThePromptIsBroken) {
    for (const char* pointer : {"/prompt", "/prompt/0/logprobs"}) {
        Json reply = fixture_json("together_echo");
        reply[Json::json_pointer(pointer)] = nullptr;
        Conversation talk = Server("together").score(is_it_good());
        EXPECT_THAT(talk.take(0, reply.dump()), HasKind(kBroken)) << pointer;
    }
}

TEST(TogetherScore, WrongLengthsAreMalformed) {
    Json reply = fixture_json("together_echo");
    reply["prompt"][0]["logprobs"]["tokens"].erase(2);
    Conversation talk = Server("together").score(is_it_good());
    const Verdict verdict = talk.take(0, reply.dump());
    EXPECT_THAT(verdict, HasKind(kMalformed));
    EXPECT_THAT(verdict.reason, HasSubstr("differ in length"));
    reply = fixture_json("together_echo");
    reply["prompt"].push_back(reply["prompt"][0]);
    EXPECT_THAT(talk.take(0, reply.dump()), HasKind(kMalformed));
}

// --- SGLang

Conversation sglang_tokenised() {
    Conversation talk = tokenising("sglang").score(is_it_good());
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take_fixture(1, "vllm_tokenize_target");
    return talk;
}

TEST(SglangScore, AsksFromOneTokenBeforeTheTarget) {
    Conversation talk = sglang_tokenised();
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.path(2), "/generate");
    EXPECT_EQ(talk.body(2), Json::parse(R"({"input_ids":[11,12,13,14,15,16],"return_logprob":true,
        "logprob_start_len":3,"return_text_in_logprobs":true,
        "sampling_params":{"max_new_tokens":0,"temperature":0.0}})"));
}

TEST(SglangScore, DropsTheNullEntryInFront) {
    Conversation talk = sglang_tokenised();
    EXPECT_THAT(talk.take_fixture(2, "sglang_generate"), HasKind(kTaken));
    // Cached tokens are billed like the others.
    EXPECT_EQ(talk.usage(), (Usage{.calls = 1,
                                   .standalone_tokens = 6,
                                   .evaluated_tokens = 3,
                                   .requests = 1,
                                   .prompt_tokens = 6}));
    EXPECT_THAT(talk.score().token_log_probs, kYes);
}

TEST(SglangScore, MissingOrShiftedEntriesAreNotScored) {
    Json short_reply = fixture_json("sglang_generate");
    short_reply["meta_info"]["input_token_logprobs"].erase(0);
    Conversation talk = sglang_tokenised();
    EXPECT_THAT(talk.take(2, short_reply.dump()), HasKind(kMalformed));
    Json shifted = fixture_json("sglang_generate");
    shifted["meta_info"]["input_token_logprobs"] =
        Json::parse(R"([[null,13," good"],[-1.5,14,"?"],[-0.5,15,"\n"]])");
    EXPECT_THAT(talk.take(2, shifted.dump()), HasKind(kBroken));
}

TEST(SglangScore, AbortedRequestIsMalformed) {
    Conversation talk = sglang_tokenised();
    const Verdict verdict = talk.take_fixture(2, "sglang_abort");
    EXPECT_THAT(verdict, HasKind(kMalformed));
    EXPECT_THAT(verdict.reason, HasSubstr("The request queue is full."));
}

TEST(SglangScore, UnscoredReplyIsBroken) {
    Json reply = fixture_json("sglang_generate");
    reply["meta_info"].erase("input_token_logprobs");
    Conversation talk = sglang_tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kBroken));
}

TEST(SglangScore, PromptCutSilentlyIsBroken) {
    Json reply = fixture_json("sglang_generate");
    reply["meta_info"]["prompt_tokens"] = 5;
    Conversation talk = sglang_tokenised();
    EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kBroken));
}

TEST(SglangScore, ListsHoldTargetsOfOneContext) {
    Server server = tokenising("sglang");
    server.facts.prompts_a_call = 8;
    ScoreRequest request = is_it_good({"\nyes", "\nno"});
    request.items.push_back(is_it_good().items[0]);
    Conversation talk = server.score(request);
    for (const std::size_t context : {0U, 3U}) talk.take_fixture(context, "vllm_tokenize_context");
    for (const std::size_t target : {1U, 4U}) talk.take_fixture(target, "vllm_tokenize_target");
    talk.take(2, R"({"tokens":[11,12,13,14,15,18]})");
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.body(5)["input_ids"], Json::parse("[[11,12,13,14,15,16],[11,12,13,14,15,18]]"));
    EXPECT_EQ(talk.body(6)["input_ids"], Json::parse("[11,12,13,14,15,16]"));
    EXPECT_THAT(talk.take_fixture(5, "sglang_generate"), HasKind(kMalformed));
    EXPECT_THAT(talk.take_fixture(5, "sglang_generate_two"), HasKind(kTaken));
    talk.take_fixture(6, "sglang_generate");
    const auto scores = talk.scores();
    EXPECT_THAT(scores[0][1].token_log_probs, ElementsAre(-0.5, -6.5));
    EXPECT_THAT(scores[1][0].token_log_probs, kYes);
}

TEST(SglangScore, WithoutATokeniserTheWholePromptIsScored) {
    Conversation talk = Server("sglang").score(is_it_good());
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.body(0)["text"], "Is it good?\nyes");
    EXPECT_EQ(talk.body(0)["logprob_start_len"], 0);
    talk.take(0, R"({"text":"","meta_info":{"prompt_tokens":3,"input_token_logprobs":[
        [null,1,"Is it good"],[-1,2,"?"],[-2,3,"\nyes"]]}})");
    talk.take(1, R"({"text":"","meta_info":{"prompt_tokens":2,"input_token_logprobs":[
        [null,1,"Is it good"],[-1,2,"?"]]}})");
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-2.0));
}

TEST(SglangScore, RefusesChatWhereTheTokeniserTakesNoMessages) {
    Conversation talk = tokenising("sglang").score(is_it_good({"\nyes"}, true));
    EXPECT_THAT(talk.score(), FailsWith("renders no chat"));
}

TEST(SglangScore, ChatIsRenderedAsItsChatPathDoes) {
    Server server = tokenising("sglang");
    server.facts.renders_chat = true;
    server.facts.software = "sglang";
    Conversation talk = server.score(is_it_good({"\nyes"}, true));
    EXPECT_EQ(talk.body(0), Json::parse(R"({"model":"m","messages":[{"role":"user",
        "content":"Is it good?"}]})"));
    talk.take_fixture(0, "sglang_tokenize_chat");
    EXPECT_EQ(talk.path(1), "/detokenize");
    EXPECT_EQ(talk.body(1)["skip_special_tokens"], false);
    talk.take_fixture(1, "sglang_detokenize_chat");
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.body(2)["prompt"], "<s>Is it good?</s>");
    EXPECT_EQ(talk.body(2)["add_special_tokens"], false);
    talk.take_fixture(2, "sglang_tokenize_chat");
    talk.take(3, R"({"tokens":[1,11,12,13,14,2,15,16]})");
    EXPECT_EQ(talk.body(4)["input_ids"], Json::parse("[1,11,12,13,14,2,15,16]"));
    EXPECT_EQ(talk.body(4)["logprob_start_len"], 5);
}

// --- TGI

Conversation tgi_tokenised() {
    Conversation talk = by_tokens(tokenising("tgi")).score(is_it_good());
    talk.take_fixture(0, "tgi_tokenize_context");
    talk.take_fixture(1, "tgi_tokenize_target");
    return talk;
}

TEST(TgiScore, AsksForThePrefill) {
    Conversation talk = tgi_tokenised();
    EXPECT_EQ(talk.body(0), Json::parse(R"({"inputs":"Is it good?"})"));
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.path(2), "/generate");
    EXPECT_EQ(talk.body(2), Json::parse(R"({"inputs":"Is it good?\nyes","parameters":{
        "max_new_tokens":1,"do_sample":false,"decoder_input_details":true,"details":true}})"));
}

TEST(TgiScore, TellsTokensByIdsSinceTheirTextsLoseSpaces) {
    Conversation talk = tgi_tokenised();
    EXPECT_THAT(talk.take_fixture(2, "tgi_prefill"), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, kYes);
}

TEST(TgiScore, EmptyPrefillIsBroken) {
    Conversation talk = tgi_tokenised();
    EXPECT_THAT(talk.take_fixture(2, "tgi_prefill_off"), HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("--enable-prefill-logprobs"));
}

TEST(TgiScore, MalformedPrefillsAreNotScored) {
    for (const char* pointer : {"/details/prefill/6/logprob", "/details/prefill/6/id",
                                "/details/prefill/6/text", "/generated_text"}) {
        Json reply = fixture_json("tgi_prefill");
        reply[Json::json_pointer(pointer)] = nullptr;
        Conversation talk = tgi_tokenised();
        EXPECT_THAT(talk.take(2, reply.dump()), HasKind(kMalformed)) << pointer;
    }
}

TEST(TgiScore, ValidationErrorIsTheTargetsError) {
    Conversation talk = tgi_tokenised();
    talk.fail(
        2, 422,
        R"({"error":"Input validation error: `inputs` must have less than 1023 tokens. Given: 2000",
                  "error_type":"validation"})");
    EXPECT_THAT(talk.score(), FailsWith("HTTP 422): Input validation error"));
}

// --- llama-server

Conversation forced() {
    Server server("llama-server");
    server.facts.slots = 4;
    Conversation talk = server.score(is_it_good());
    talk.take_fixture(0, "llama_server_tokenize_context");
    talk.take_fixture(1, "llama_server_tokenize_target");
    return talk;
}

TEST(LlamaServerScore, ForcesEachTokenInACallOfItsOwn) {
    Conversation talk = forced();
    EXPECT_EQ(talk.body(0), Json::parse(R"({"content":"Is it good?","add_special":true,
        "parse_special":false})"));
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.path(2), "/v1/completions");
    const Json slot = talk.body(2)["id_slot"];
    EXPECT_THAT(slot.get<int>(), ::testing::AllOf(::testing::Ge(0), ::testing::Lt(4)));
    Json expected = Json::parse(R"({"model":"m","prompt":[11,12,13,14],"max_tokens":1,
        "temperature":0.0,"top_p":1.0,"logprobs":1,"logit_bias":[[15,100]],"cache_prompt":true,
        "top_k":1048576,"min_p":0.0,"repetition_penalty":1.0,"repeat_penalty":1.0,
        "presence_penalty":0.0,"frequency_penalty":0.0})");
    expected["id_slot"] = slot;
    EXPECT_EQ(talk.body(2), expected);
    EXPECT_EQ(talk.body(3)["prompt"], Json::parse("[11,12,13,14,15]"));
    EXPECT_EQ(talk.body(3)["logit_bias"], Json::parse("[[16,100]]"));
    EXPECT_EQ(talk.body(3)["id_slot"], slot);
}

TEST(LlamaServerScore, PutsTokensTogetherInAnyOrder) {
    for (const bool forward : {true, false}) {
        Conversation talk = forced();
        const auto first = [&] { return talk.take_fixture(2, "llama_server_forced_15"); };
        if (forward) {
            EXPECT_THAT(first(), HasKind(kTaken));
        }
        EXPECT_THAT(talk.take_fixture(3, "llama_server_forced_16"), HasKind(kTaken));
        if (!forward) {
            EXPECT_THAT(first(), HasKind(kTaken));
        }
        ASSERT_TRUE(talk.done());
        // One token of the prompt each was not in the cache, and one was generated.
        EXPECT_EQ(talk.usage(), (Usage{.calls = 1,
                                       .standalone_tokens = 6,
                                       .evaluated_tokens = 4,
                                       .requests = 2,
                                       .prompt_tokens = 9,
                                       .discarded_tokens = 2}));
        EXPECT_THAT(talk.score().token_log_probs, kYes);
    }
}

TEST(LlamaServerScore, AnotherTokenThanTheForcedOneIsBroken) {
    Conversation talk = forced();
    EXPECT_THAT(talk.take_fixture(2, "llama_server_ignored_echo"), HasKind(kBroken));
    EXPECT_THAT(talk.score(), FailsWith("token 17 where token 15 was forced"));
}

TEST(LlamaServerScore, OneLostTokenFailsItsTargetOnly) {
    Server server("llama-server");
    Conversation talk = server.score(is_it_good({"\nyes", "\nyes"}));
    talk.take_fixture(0, "llama_server_tokenize_context");
    talk.take_fixture(1, "llama_server_tokenize_target");
    talk.take_fixture(2, "llama_server_tokenize_target");
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_FALSE(talk.body(3).contains("id_slot"));
    talk.take_fixture(3, "llama_server_forced_15");
    EXPECT_THAT(talk.fail(4, 0, "", "gave up"), HasKind(kRefused));
    talk.take_fixture(5, "llama_server_forced_15");
    EXPECT_FALSE(talk.done());
    talk.take_fixture(6, "llama_server_forced_16");
    const auto scores = talk.scores();
    EXPECT_THAT(scores[0][0], FailsWith("gave up"));
    EXPECT_THAT(scores[0][1].token_log_probs, kYes);
}

TEST(LlamaServerScore, MalformedAndBrokenReplies) {
    const auto kind_of = [](const char* pointer, const Json& value) {
        Json reply = fixture_json("llama_server_forced_15");
        reply[Json::json_pointer(pointer)] = value;
        return forced().take(2, reply.dump()).kind;
    };
    const std::string entry = "/choices/0/logprobs/content/0";
    EXPECT_EQ(kind_of((entry + "/logprob").c_str(), nullptr), kMalformed);
    EXPECT_EQ(kind_of((entry + "/logprob").c_str(), "-1"), kMalformed);
    EXPECT_EQ(kind_of((entry + "/logprob").c_str(), 1.0), kMalformed);
    EXPECT_EQ(kind_of((entry + "/logprob").c_str(), -1e30), kRefused);
    EXPECT_EQ(kind_of("/choices/0/logprobs/content", Json::array()), kMalformed);
    EXPECT_EQ(kind_of("/choices/0/index", 1), kMalformed);
    EXPECT_EQ(kind_of((entry + "/id").c_str(), nullptr), kBroken);
    EXPECT_EQ(kind_of("/choices/0/logprobs", nullptr), kBroken);
    EXPECT_EQ(kind_of("/usage/prompt_tokens", 3), kBroken);
}

TEST(LlamaServerScore, MoreThanTheBestTokenHasIsBroken) {
    const std::string entry = "/choices/0/logprobs/content/0";
    Json reply = fixture_json("llama_server_forced_15");
    reply[Json::json_pointer(entry + "/logprob")] = 0.0;
    EXPECT_THAT(forced().take(2, reply.dump()), HasKind(kBroken));
    reply[Json::json_pointer(entry + "/top_logprobs/0/id")] = 15;  // it is the best itself
    EXPECT_THAT(forced().take(2, reply.dump()), HasKind(kTaken));
    reply[Json::json_pointer(entry + "/top_logprobs")] = Json::array();
    EXPECT_THAT(forced().take(2, reply.dump()), HasKind(kTaken));
}

TEST(LlamaServerScore, BeginTextIsLeftOut) {
    Server server("llama-server");
    server.facts.begin_text = "<s>";
    EXPECT_EQ(server.score(is_it_good()).body(0)["content"], "Is it good?");
}

TEST(LlamaServerScore, ChatIsRenderedByTheServersTemplate) {
    Conversation talk = Server("llama-server").score(is_it_good({"\nyes"}, true));
    EXPECT_EQ(talk.path(0), "/apply-template");
    EXPECT_EQ(talk.body(0),
              Json::parse(R"({"messages":[{"role":"user","content":"Is it good?"}]})"));
    talk.take_fixture(0, "llama_server_template");
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.body(2), Json::parse(R"({"content":"<s>Is it good?</s>\nyes","add_special":true,
        "parse_special":true})"));
}

// --- chat completions alone

TEST(OpenAiChatScore, IsRefusedWithWhatWorksInstead) {
    Server server("openai-chat");
    EXPECT_FALSE(server.dialect->can_score());
    Conversation talk = server.score(is_it_good({"a", "b"}));
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.scores()[0],
                ElementsAre(FailsWith("use openai (vLLM)"), FailsWith("cannot score")));
}

}  // namespace
}  // namespace dln::http
