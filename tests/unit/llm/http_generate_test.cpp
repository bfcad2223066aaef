// Generation: what is asked of each server, and what becomes of its texts.

#include <gtest/gtest.h>

#include "llm/http/write_exchange.hpp"
#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

GenerateRequest text_for(std::vector<std::string> contexts, double temperature = 0.7) {
    GenerateRequest request{.max_tokens = 8, .temperature = temperature, .top_p = 0.9};
    for (std::size_t i = 0; i < contexts.size(); ++i) {
        request.items.push_back({.context = {.text = contexts[i]}, .seed = 7 + i});
    }
    return request;
}

GenerateRequest chat_for(const std::string& context) {
    GenerateRequest request = text_for({context});
    request.items[0].context.chat = true;
    return request;
}

std::string completion(const std::string& text,
                       const std::string& finish = "stop",
                       int tokens = 8) {
    return Json{
        {"model", "m"},
        {"choices", Json::array({{{"index", 0}, {"text", text}, {"finish_reason", finish}}})},
        {"usage", {{"prompt_tokens", 4}, {"completion_tokens", tokens}}}}
        .dump();
}

TEST(OpenAiGenerate, SpellsOutWhatServersWouldChangeByDefault) {
    GenerateRequest request = text_for({"Is it good?"});
    request.stop = {"\n\n", "END"};
    Conversation talk = Server("openai").generate(request);
    ASSERT_THAT(talk.calls(), SizeIs(1));
    EXPECT_EQ(talk.path(0), "/v1/completions");
    EXPECT_EQ(talk.body(0), Json::parse(R"({"model":"m","prompt":"Is it good?","max_tokens":8,
        "temperature":0.7,"top_p":0.9,"seed":7,"stop":["\n\n","END"],"top_k":1048576,"min_p":0.0,
        "repetition_penalty":1.0,"repeat_penalty":1.0,"presence_penalty":0.0,
        "frequency_penalty":0.0})"));
    EXPECT_EQ(talk.calls()[0].estimated_tokens, 8 + 4);
}

TEST(OpenAiGenerate, TakesTheText) {
    Conversation talk = Server("openai").generate(text_for({"Is it good?"}));
    EXPECT_THAT(talk.take_fixture(0, "vllm_completion"), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    EXPECT_EQ(talk.usage(), (Usage{.calls = 1,
                                   .standalone_tokens = 9,
                                   .evaluated_tokens = 9,
                                   .generated_tokens = 5,
                                   .requests = 1,
                                   .prompt_tokens = 4}));
    const GeneratedText text = talk.texts().at(0);
    EXPECT_EQ(text.text, " Yes, it is.");
    EXPECT_EQ(text.tokens, 5);
    EXPECT_FALSE(text.cut);
}

TEST(OpenAiGenerate, OnePromptForEachSeed) {
    Server server("openai");
    server.facts.prompts_a_call = 8;
    Conversation talk = server.generate(text_for({"a", "a"}));
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.body(0)["seed"], 7);
    EXPECT_EQ(talk.body(1)["seed"], 8);
}

TEST(OpenAiGenerate, ListsWithoutTemperatureAreSplitLikeScores) {
    Server server("openai");
    server.facts.prompts_a_call = 2;
    Conversation talk = server.generate(text_for({"a", "b", "c"}, 0.0));
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.body(0)["prompt"], Json::parse(R"(["a","b"])"));
    EXPECT_EQ(talk.body(0)["seed"], 0);
    EXPECT_EQ(talk.body(1)["prompt"], "c");
    EXPECT_THAT(talk.fail(0, 400), HasKind(kTaken));
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.body(2)["prompt"], "a");
    EXPECT_EQ(talk.body(3)["prompt"], "b");
    talk.take(2, completion("A"));
    EXPECT_THAT(talk.fail(3, 400, fixture("vllm_error_too_long")), HasKind(kRefused));
    talk.take(1, completion("C"));
    EXPECT_EQ(talk.usage().requests, 3) << "the list counts with its parts";
    const auto texts = talk.texts();
    EXPECT_EQ(texts[0].text, "A");
    EXPECT_THAT(texts[1], FailsWith("maximum context length"));
    EXPECT_EQ(texts[2].text, "C");
}

TEST(OpenAiGenerate, PermutedListIsPutRightByIndex) {
    Server server("openai");
    server.facts.prompts_a_call = 2;
    Conversation talk = server.generate(text_for({"a", "b"}, 0.0));
    EXPECT_THAT(talk.take(0, R"({"choices":[{"index":1,"text":"B","finish_reason":"length"},
        {"index":0,"text":"A","finish_reason":"stop"}],"usage":{"prompt_tokens":2,
        "completion_tokens":9}})"),
                HasKind(kTaken));
    EXPECT_EQ(talk.usage().generated_tokens, 9);
    const auto texts = talk.texts();
    EXPECT_EQ(texts[0].text, "A");
    EXPECT_EQ(texts[1].text, "B");
    EXPECT_TRUE(texts[1].cut);
}

TEST(OpenAiGenerate, MalformedReplyLeavesTheCallOpen) {
    Conversation talk = Server("openai").generate(text_for({"a"}));
    for (const char* bad : {"", "{", "{}", R"({"error":{"message":"busy"}})", R"({"choices":[]})",
                            R"({"choices":[{"index":0,"text":"A"}]})",
                            R"({"choices":[{"index":0,"text":"A","finish_reason":null}]})",
                            R"({"choices":[{"index":0,"text":"A","finish_reason":"error"}]})",
                            R"({"choices":[{"index":0,"text":null,"finish_reason":"stop"}]})",
                            R"({"choices":[{"index":0,"text":["A"],"finish_reason":"stop"}]})",
                            R"({"choices":[{"index":1,"text":"A","finish_reason":"stop"}]})"}) {
        EXPECT_THAT(talk.take(0, bad), HasKind(kMalformed)) << bad;
        EXPECT_FALSE(talk.done());
    }
    EXPECT_THAT(talk.take(0, completion("A")), HasKind(kTaken));
    EXPECT_EQ(talk.texts().at(0).text, "A");
}

TEST(OpenAiGenerate, TextEndsBeforeTheFirstStop) {
    GenerateRequest request = text_for({"a"});
    request.stop = {"END", "\n"};
    Conversation talk = Server("openai").generate(request);
    talk.take(0, completion("one\nEND two", "length"));
    const GeneratedText text = talk.texts().at(0);
    EXPECT_EQ(text.text, "one");
    EXPECT_FALSE(text.cut);
}

TEST(OpenAiGenerate, LimitOfTokensCutsTheText) {
    Conversation talk = Server("openai").generate(text_for({"a"}));
    talk.take(0, completion("one two", "length"));
    EXPECT_TRUE(talk.texts().at(0).cut);
}

TEST(OpenAiGenerate, TextThatTheServersContextEndedFails) {
    Conversation talk = Server("openai").generate(text_for({"a"}));
    EXPECT_THAT(talk.take_fixture(0, "llama_cpp_python_completion_cut"), HasKind(kRefused));
    EXPECT_THAT(talk.texts().at(0), FailsWith("context ended the text after 3 of 8 tokens"));
}

TEST(OpenAiGenerate, BeginTextStandsInFrontOfPlainContextsOnly) {
    Server server("openai");
    server.facts.begin_text = "<s>";
    EXPECT_EQ(server.generate(text_for({"a"})).body(0)["prompt"], "<s>a");
    GenerateRequest chat = text_for({"a"});
    chat.items[0].context.chat = true;
    EXPECT_EQ(server.generate(chat).body(0)["messages"][0]["content"], "a");
}

TEST(OpenAiGenerate, WithheldTextFails) {
    Conversation talk = Server("openai").generate(text_for({"a"}));
    EXPECT_THAT(talk.take(0, completion("", "content_filter")), HasKind(kRefused));
    EXPECT_THAT(talk.texts().at(0), FailsWith("withheld"));
}

TEST(OpenAiGenerate, TextsThatCannotBeSentFailAlone) {
    Conversation talk = Server("openai").generate(text_for({"\xFF", "", "a"}));
    ASSERT_THAT(talk.calls(), SizeIs(1));
    talk.take(0, completion("A"));
    const auto texts = talk.texts();
    EXPECT_THAT(texts[0], FailsWith("not UTF-8"));
    EXPECT_THAT(texts[1], FailsWith("the context is empty"));
    EXPECT_TRUE(texts[2].ok());
}

TEST(OpenAiGenerate, StopThatIsNotUtf8FailsAll) {
    GenerateRequest request = text_for({"a", "b"});
    request.stop = {"\xC3"};
    Conversation talk = Server("openai").generate(request);
    EXPECT_THAT(talk.calls(), IsEmpty());
    EXPECT_THAT(talk.texts(), Each(FailsWith("a stop string is not UTF-8")));
}

TEST(OpenAiGenerate, ChatGoesToChatCompletions) {
    Conversation talk = Server("openai").generate(chat_for("Is it \"good\"?\n"));
    EXPECT_EQ(talk.path(0), "/v1/chat/completions");
    EXPECT_EQ(talk.body(0)["messages"],
              Json::parse(R"([{"role":"user","content":"Is it \"good\"?\n"}])"));
    EXPECT_FALSE(talk.body(0).contains("prompt"));
    talk.take_fixture(0, "vllm_chat");
    EXPECT_EQ(talk.texts().at(0).text, "Yes, it is.");
}

TEST(OpenAiGenerate, ChatWithoutContentFails) {
    Json reply = fixture_json("vllm_chat");
    reply["choices"][0]["message"]["content"] = nullptr;
    Conversation talk = Server("openai").generate(chat_for("a"));
    EXPECT_THAT(talk.take(0, reply.dump()), HasKind(kRefused));
    EXPECT_THAT(talk.texts().at(0), FailsWith("no content"));
}

TEST(OpenAiChatGenerate, TakesOnlyChat) {
    Conversation plain = Server("openai-chat").generate(text_for({"a"}));
    EXPECT_THAT(plain.calls(), IsEmpty());
    EXPECT_THAT(plain.texts().at(0), FailsWith("set \"chat\": true"));
    Conversation chat = Server("openai-chat").generate(chat_for("a"));
    EXPECT_EQ(chat.path(0), "/v1/chat/completions");
}

TEST(OpenAiChatGenerate, SendsOpenAisOwnFieldsUnlessTheServerTakesMore) {
    GenerateRequest request = chat_for("a");
    request.stop = {"1", "2", "3", "4", "5"};
    Server server("openai-chat");
    const Json strict = server.generate(request).body(0);
    EXPECT_EQ(strict, Json::parse(R"({"model":"m","messages":[{"role":"user","content":"a"}],
        "max_tokens":8,"temperature":0.7,"top_p":0.9,"seed":7,"stop":["1","2","3","4"]})"));
    server.facts.software = "vllm";
    EXPECT_EQ(server.generate(request).body(0)["top_k"], 1 << 20);
}

TEST(OpenAiChatGenerate, CutsAtAStopThatWasNotSent) {
    GenerateRequest request = chat_for("a");
    request.stop = {"1", "2", "3", "4", "is"};
    Conversation talk = Server("openai-chat").generate(request);
    talk.take_fixture(0, "vllm_chat");
    EXPECT_EQ(talk.texts().at(0).text, "Yes, it ");
}

TEST(TogetherGenerate, SendsNoFieldThatItDoesNotKnow) {
    Conversation talk = Server("together").generate(text_for({"a"}));
    EXPECT_EQ(talk.body(0), Json::parse(R"({"model":"m","prompt":"a","max_tokens":8,
        "temperature":0.7,"top_p":0.9,"seed":7})"));
}

TEST(SglangGenerate, UsesTheOpenAiPath) {
    EXPECT_EQ(Server("sglang").generate(text_for({"a"})).path(0), "/v1/completions");
    EXPECT_EQ(Server("sglang").generate(chat_for("a")).path(0), "/v1/chat/completions");
}

TEST(TgiGenerate, LeavesOutWhatItRefuses) {
    GenerateRequest request = text_for({"a"});
    request.stop = {"END"};
    EXPECT_EQ(Server("tgi").generate(request).body(0), Json::parse(R"({"inputs":"a","parameters":{
        "max_new_tokens":8,"do_sample":true,"temperature":0.7,"top_p":0.9,"seed":7,
        "repetition_penalty":1.0,"return_full_text":false,"details":true,"stop":["END"]}})"));
    request.temperature = 0.0;
    request.top_p = 1.0;
    const Json greedy = Server("tgi").generate(request).body(0)["parameters"];
    EXPECT_EQ(greedy["do_sample"], false);
    EXPECT_FALSE(greedy.contains("temperature") || greedy.contains("top_p"));
}

TEST(TgiGenerate, ChatNamesNoAdapterAndLeavesOutWhatItRefuses) {
    GenerateRequest request = text_for({"a"});
    request.items[0].context.chat = true;
    request.top_p = 1.0;
    Conversation talk = Server("tgi").generate(request);
    EXPECT_EQ(talk.path(0), "/v1/chat/completions");
    EXPECT_EQ(talk.body(0)["model"], "tgi");
    EXPECT_FALSE(talk.body(0).contains("top_p"));
    // TGI makes a repetition_penalty of 2 out of a presence_penalty of 0.
    EXPECT_FALSE(talk.body(0).contains("presence_penalty"));
    request.top_p = 0.5;
    EXPECT_EQ(Server("tgi").generate(request).body(0)["top_p"], 0.5);
}

TEST(TgiGenerate, UncountedPromptTokensAreEstimated) {
    Conversation talk = Server("tgi").generate(text_for({"Is it good?"}));
    talk.take_fixture(0, "tgi_stop");
    EXPECT_EQ(talk.usage().prompt_tokens, estimated_tokens(11));
}

TEST(TgiGenerate, StopStringIsCutOff) {
    GenerateRequest request = text_for({"a"});
    request.stop = {"END"};
    Conversation talk = Server("tgi").generate(request);
    EXPECT_THAT(talk.take(0, R"({"generated_text":"a"})"), HasKind(kMalformed));
    talk.take_fixture(0, "tgi_stop");
    const GeneratedText text = talk.texts().at(0);
    EXPECT_EQ(text.text, " Yes.\n");
    EXPECT_EQ(text.tokens, 4);
}

TEST(LlamaServerGenerate, TokenisesFirstSoThatControlTokensStayText) {
    Conversation talk = Server("llama-server").generate(text_for({"<|im_end|>"}));
    EXPECT_EQ(talk.path(0), "/tokenize");
    EXPECT_EQ(talk.body(0)["parse_special"], false);
    EXPECT_THAT(talk.take(0, R"({"tokens":"a"})"), HasKind(kMalformed));
    talk.take(0, R"({"tokens":[5,6]})");
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.body(1)["prompt"], Json::parse("[5,6]"));
    talk.take(1, completion(" A"));
    EXPECT_EQ(talk.texts().at(0).text, " A");
}

TEST(LlamaServerGenerate, ContextThatLeavesNoRoomIsNotSent) {
    Server server("llama-server");
    server.facts.context_tokens = 9;
    Conversation talk = server.generate(text_for({"a"}));
    EXPECT_THAT(talk.take(0, R"({"tokens":[5,6]})"), HasKind(kRefused));
    EXPECT_THAT(talk.texts().at(0), FailsWith("2 tokens leaves no room for 8 more within 9"));
}

TEST(LlamaServerGenerate, PromptCutSilentlyIsBroken) {
    Conversation talk = Server("llama-server").generate(text_for({"a"}));
    talk.take(0, R"({"tokens":[1,2,3,4,5]})");
    EXPECT_THAT(talk.take(1, completion("A")), HasKind(kBroken));
    EXPECT_THAT(talk.texts().at(0), FailsWith("cuts prompts silently"));
}

TEST(LlamaServerGenerate, ChatGoesToChatCompletionsAtOnce) {
    EXPECT_EQ(Server("llama-server").generate(chat_for("a")).path(0), "/v1/chat/completions");
}

TEST(FoldedSeed, IsTakenByAllServersAndKeepsSmallOnes) {
    EXPECT_EQ(folded_seed(0), 0U);
    EXPECT_EQ(folded_seed(0x7FFFFFFF), 0x7FFFFFFFU);
    const std::uint32_t folded = folded_seed(0x80000000);
    EXPECT_LT(folded, 0x80000000U);
    EXPECT_NE(folded, folded_seed(0x80000001));
    EXPECT_NE(folded_seed(1ULL << 40U), folded_seed(1ULL << 41U));
}

}  // namespace
}  // namespace dln::http
