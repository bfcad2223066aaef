// Scores by echo over /v1/completions where texts are sent: servers without a tokeniser, and
// llama-cpp-python, whose tokeniser only counts. And what all of them do with texts and chats.

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Server llama_cpp_python() {
    Server server("openai");
    server.facts.can_tokenise = true;
    server.facts.takes_tokens = false;
    return server;
}

// --- without a tokeniser

TEST(OpenAiScoreByText, AsksForTheContextAloneToo) {
    Server server("openai");
    server.facts.prompts_a_call = 8;
    Conversation talk = server.score(is_it_good());
    ASSERT_THAT(talk.calls(), SizeIs(1));
    EXPECT_EQ(talk.body(0),
              neutral(Json::parse(R"({"model":"m","prompt":["Is it good?\nyes","Is it good?"],
        "echo":true,"logprobs":1,"max_tokens":1})")));
}

TEST(OpenAiScoreByText, CutsAtTheContextsOwnNumberOfTokens) {
    for (const bool context_first : {true, false}) {
        Conversation talk = Server("openai").score(is_it_good());
        ASSERT_THAT(talk.calls(), SizeIs(2));
        const auto take_target = [&] { return talk.take_fixture(0, "vllm_echo_text"); };
        if (!context_first) {
            EXPECT_THAT(take_target(), HasKind(kTaken));
        }
        EXPECT_THAT(talk.take_fixture(1, "vllm_echo_text_context"), HasKind(kTaken));
        if (context_first) {
            EXPECT_THAT(take_target(), HasKind(kTaken));
        }
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
    }
}

TEST(OpenAiScoreByText, TargetThatMergesAwayFails) {
    Conversation talk = Server("openai").score(is_it_good());
    talk.take(0, R"({"choices":[{"index":0,"logprobs":{
        "tokens":["Is it"," good","?\n","yes"],"token_logprobs":[null,-1,-2,-3]}}]})");
    EXPECT_THAT(talk.take(1, R"({"choices":[{"index":0,"logprobs":{
        "tokens":["Is"," it"," good","?"],"token_logprobs":[null,-1,-2,-3]}}]})"),
                HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("adds no token"));
}

TEST(OpenAiScoreByText, BeginTokenOnOneOfTheTextsOnlyFails) {
    Json context = fixture_json("vllm_echo_text_context");
    context["choices"][0]["logprobs"]["tokens"].erase(0);
    context["choices"][0]["logprobs"]["token_logprobs"].erase(0);
    Conversation talk = Server("openai").score(is_it_good());
    talk.take_fixture(0, "vllm_echo_text");
    EXPECT_THAT(talk.take(1, context.dump()), HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("begins the context alone with other tokens"));
}

TEST(OpenAiScoreByText, TokensThatAreNotTheTextFailTheTarget) {
    Conversation talk = Server("openai").score(is_it_good());
    talk.take_fixture(1, "vllm_echo_text_context");
    EXPECT_THAT(talk.take(0, changed("vllm_echo_text", "/choices/0/logprobs/tokens/3", " bad")),
                HasKind(kRefused));
    EXPECT_THAT(talk.score(), FailsWith("not surely the text that was sent"));
}

TEST(OpenAiScoreByText, CountBelowTheReturnedTokensIsBroken) {
    Conversation talk = Server("openai").score(is_it_good());
    EXPECT_THAT(talk.take(0, changed("vllm_echo_text", "/usage/prompt_tokens", 5)),
                HasKind(kBroken));
}

TEST(OpenAiScoreByText, NullInTheTargetIsMalformed) {
    Conversation talk = Server("openai").score(is_it_good());
    EXPECT_THAT(
        talk.take(0, changed("vllm_echo_text", "/choices/0/logprobs/token_logprobs/6", nullptr)),
        HasKind(kMalformed));
}

// --- llama-cpp-python: a tokeniser, but prompts are texts, and the begin token is dropped

const auto kScores = ElementsAre(DoubleNear(-1.036, 0.001), DoubleNear(-7.675, 0.001));

TEST(LlamaCppPythonScore, SendsTextsAndCountsWithItsTokeniser) {
    Conversation talk = llama_cpp_python().score(is_it_good());
    EXPECT_EQ(talk.path(0), "/extras/tokenize");
    EXPECT_EQ(talk.body(0), Json::parse(R"({"input":"Is it good?"})"));
    talk.take_fixture(0, "llama_cpp_python_tokenize_context");
    talk.take_fixture(1, "llama_cpp_python_tokenize_target");
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.body(2), neutral(Json::parse(R"({"model":"m","prompt":"Is it good?\nyes",
        "echo":true,"logprobs":1,"max_tokens":1})")));
}

TEST(LlamaCppPythonScore, DroppedBeginTokenDoesNotShiftTheScores) {
    for (const char* name : {"llama_cpp_python_echo", "llama_cpp_python_no_trailing"}) {
        Conversation talk = llama_cpp_python().score(is_it_good());
        talk.take_fixture(0, "llama_cpp_python_tokenize_context");
        talk.take_fixture(1, "llama_cpp_python_tokenize_target");
        EXPECT_THAT(talk.take_fixture(2, name), HasKind(kTaken));
        EXPECT_THAT(talk.score().token_log_probs, kScores) << name;
    }
}

// Why a probe compares them with generation: with a model that wants no begin token, and none in front,
// this server gives each token the probability of a repetition of it, in a reply that looks sound.
TEST(LlamaCppPythonScore, ShiftedScoresCannotBeToldFromTheReply) {
    Conversation talk = llama_cpp_python().score(is_it_good());
    talk.take(0, R"({"tokens":[4182,357,1123,47]})");
    talk.take(1, R"({"tokens":[4182,357,1123,47,198,10407]})");
    EXPECT_THAT(talk.take_fixture(2, "llama_cpp_python_shifted"), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs,
                ElementsAre(DoubleNear(-0.734, 0.001), DoubleNear(-9.513, 0.001)));
}

TEST(LlamaCppPythonScore, BeginTextStandsInFrontOfAllTexts) {
    Server server = llama_cpp_python();
    server.facts.begin_text = "<|im_start|>";
    Conversation talk = server.score(is_it_good());
    EXPECT_EQ(talk.body(0)["input"], "<|im_start|>Is it good?");
    EXPECT_EQ(talk.body(1)["input"], "<|im_start|>Is it good?\nyes");
    talk.take_fixture(0, "llama_cpp_python_tokenize_context");
    talk.take_fixture(1, "llama_cpp_python_tokenize_target");
    EXPECT_EQ(talk.body(2)["prompt"], "<|im_start|>Is it good?\nyes");
    EXPECT_THAT(talk.take_fixture(2, "llama_cpp_python_echo"), HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, kScores);
}

TEST(LlamaCppPythonScore, CharactersSplitOverTokensAreToldByTheirNumber) {
    Conversation talk = llama_cpp_python().score({{{{.text = "Hm?"}, {" \xF0\x9F\x90\x8C"}}}});
    talk.take(0, R"({"tokens":[5,6]})");
    talk.take(1, R"({"tokens":[5,6,7,8,9]})");
    EXPECT_THAT(talk.take(2, R"({"choices":[{"index":0,"text":"","logprobs":{"tokens":
        ["Hm","?"," ","","","x"],"token_logprobs":[null,-1,-2,-3,-4,-5]}}]})"),
                HasKind(kTaken));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-2, -3, -4));
}

TEST(LlamaCppPythonScore, UncertainEndOfASplitCharacterFails) {
    // Five entries for five tokens: the last may be the target's, or a generated one if the first was dropped.
    Conversation talk = llama_cpp_python().score({{{{.text = "Hm?"}, {" \xF0\x9F\x90\x8C"}}}});
    talk.take(0, R"({"tokens":[5,6]})");
    talk.take(1, R"({"tokens":[5,6,7,8,9]})");
    talk.take(2, R"({"choices":[{"index":0,"text":"","logprobs":{"tokens":
        ["Hm?"," ","","",""],"token_logprobs":[null,-1,-2,-3,-4]}}]})");
    EXPECT_THAT(talk.score(), FailsWith("not surely the text"));
}

// --- requests

TEST(OpenAiScoreRequest, TextsThatCannotBeSentFailAlone) {
    ScoreRequest request = is_it_good({"", "\nyes", "\xFF"});
    request.items.push_back({{.text = "a\xC3"}, {"x", "y"}});
    request.items.push_back({{.text = "no targets"}, {}});
    Conversation talk = by_tokens(vllm()).score(request);
    EXPECT_THAT(talk.calls(), SizeIs(2));
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take_fixture(1, "vllm_tokenize_target");
    talk.take_fixture(2, "vllm_echo_ids");
    EXPECT_EQ(talk.usage().calls, 3);
    const auto scores = talk.scores();
    EXPECT_THAT(scores[0][0], FailsWith("the target is empty"));
    EXPECT_TRUE(scores[0][1].ok());
    EXPECT_THAT(scores[0][2], FailsWith("the target is not UTF-8: the byte at offset 0"));
    EXPECT_THAT(scores[1],
                ::testing::Each(FailsWith("the context is not UTF-8: the byte at offset 1")));
    EXPECT_THAT(scores[2], IsEmpty());
}

TEST(OpenAiScoreRequest, NothingToAskIsDoneAtOnce) {
    Conversation talk = Server("openai").score({{{{.text = ""}, {"x"}}}});
    EXPECT_THAT(talk.calls(), IsEmpty());
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.score(), FailsWith("the context is empty"));
    EXPECT_TRUE(Server("openai").score({}).done());
}

TEST(OpenAiScoreRequest, ControlCharactersGoThroughAsData) {
    const std::string text("a\0\x1b\"\\{}%s", 10);
    Conversation talk = vllm().score({{{{.text = text}, {"\n"}}}});
    EXPECT_EQ(talk.body(0)["prompt"].get<std::string>(), text);
}

TEST(OpenAiScoreRequest, MegabyteContextIsLinear) {
    const std::string text(1 << 20, 'a');
    Conversation talk = Server("openai").score({{{{.text = text}, {"b"}}}});
    const auto reply = [](std::size_t letters, bool with_target) {
        Json tokens = Json::array();
        Json values = Json::array();
        for (std::size_t i = 0; i < letters / 4; ++i) {
            tokens.push_back("aaaa");
            values.push_back(i == 0 ? Json() : Json(-1.0));
        }
        if (with_target) {
            tokens.push_back("b");
            values.push_back(-2.0);
        }
        return Json{
            {"choices",
             {{{"index", 0}, {"logprobs", {{"tokens", tokens}, {"token_logprobs", values}}}}}}}
            .dump();
    };
    talk.take(0, reply(text.size(), true));
    talk.take(1, reply(text.size(), false));
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-2.0));
}

// --- chat

TEST(OpenAiScoreChat, TemplatesTextIsTokenisedWithTheTarget) {
    Conversation talk = vllm().score(is_it_good({"\nyes"}, true));
    ASSERT_THAT(talk.calls(), SizeIs(1));
    EXPECT_EQ(talk.path(0), "/tokenize");
    EXPECT_EQ(talk.body(0),
              Json::parse(R"({"model":"m","messages":[{"role":"user","content":"Is it good?"}],
        "add_generation_prompt":true,"add_special_tokens":false})"));
    talk.take_fixture(0, "vllm_tokenize_chat");
    EXPECT_EQ(talk.path(1), "/detokenize");
    EXPECT_EQ(talk.body(1), Json::parse(R"({"model":"m","tokens":[1,11,12,13,14,2],
        "skip_special_tokens":false})"));
    talk.take_fixture(1, "vllm_detokenize_chat");
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.body(3), Json::parse(R"({"model":"m","prompt":"<s>Is it good?</s>\nyes",
        "add_special_tokens":false})"));
    talk.take_fixture(2, "vllm_tokenize_chat");
    talk.take(3, R"({"tokens":[1,11,12,13,14,2,15,16]})");
    EXPECT_EQ(talk.body(4)["prompt"], Json::parse("[1,11,12,13,14,2,15,16]"));
    talk.take(4, R"({"choices":[{"index":0,"prompt_token_ids":[1,11,12,13,14,2,15,16],"logprobs":{
        "tokens":["<s>","Is"," it"," good","?","</s>","\n","yes"],
        "token_logprobs":[null,-1,-1,-1,-1,-1,-0.5,-2.25]}}]})");
    EXPECT_THAT(talk.score().token_log_probs, ElementsAre(-0.5, -2.25));
}

TEST(OpenAiScoreChat, TemplateThatDoesNotSurviveItsTextFails) {
    Conversation talk = vllm().score(is_it_good({"\nyes"}, true));
    talk.take_fixture(0, "vllm_tokenize_chat");
    talk.take_fixture(1, "vllm_detokenize_chat");
    talk.take(2, R"({"tokens":[1,1,11,12,13,14,2]})");
    talk.take(3, R"({"tokens":[1,1,11,12,13,14,2,15,16]})");
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.score(), FailsWith("other tokens than the chat itself"));
}

TEST(OpenAiScoreChat, IsRefusedWithoutATokeniserThatRenders) {
    for (const Server& server : {Server("openai"), llama_cpp_python(), Server("together")}) {
        Conversation talk = server.score(is_it_good({"\nyes"}, true));
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.score(), FailsWith("write the template without chat"));
    }
}

}  // namespace
}  // namespace dln::http
