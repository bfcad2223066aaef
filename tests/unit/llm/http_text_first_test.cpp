// Scores of texts that are sent before they are tokenised (vLLM, TGI): which are, and how their echo is verified.

#include <algorithm>

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr const char* kTokensOfSecond = R"({"tokens":[21,22,23]})";

ScoreRequest two_items(const std::string& target = "\nyes") {
    return {{{.context = {.text = "Is it good?"}, .targets = {"\nyes"}},
             {.context = {.text = "Is it bad?"}, .targets = {target}}}};
}

/// Calls 0 and 1 tokenise the first item's context and whole text, 2 the second's context; 3 is its text.
Conversation begun() { return vllm().score(two_items()); }

void take_first_item_tokens(Conversation& talk) {
    EXPECT_THAT(talk.take_fixture(0, "vllm_tokenize_context"), HasKind(kTaken));
    EXPECT_THAT(talk.take_fixture(1, "vllm_tokenize_target"), HasKind(kTaken));
}

/// An echo of these tokens, whose values are -0, -1, -2, ..., and of one that was generated.
std::string echo_of(std::vector<int> ids) {
    Json tokens = Json::array();
    Json values = Json::array();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        tokens.push_back("token_id:" + std::to_string(ids[i]));
        values.push_back(i == 0 ? Json() : Json(-static_cast<double>(i)));
    }
    tokens.push_back("token_id:7");
    values.push_back(-0.5);
    const Json log_probs{{"tokens", tokens}, {"token_logprobs", values}};
    const Json choice{
        {"index", 0}, {"text", ""}, {"prompt_token_ids", ids}, {"logprobs", log_probs}};
    return Json{{"model", "m"}, {"choices", {choice}}}.dump();
}

TEST(TextFirst, TextsBehindTheFirstItemAreSentAtOnce) {
    Conversation talk = begun();
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.path(2), "/tokenize");
    EXPECT_EQ(talk.body(2)["prompt"], "Is it bad?");
    EXPECT_EQ(talk.path(3), "/v1/completions");
    EXPECT_EQ(talk.body(3)["prompt"], "Is it bad?\nyes");
    EXPECT_TRUE(talk.body(3)["return_token_ids"]);
    EXPECT_TRUE(talk.calls()[0].is_look_up());
    EXPECT_FALSE(talk.calls()[3].is_look_up());
}

TEST(TextFirst, ContextAndKnownEndingAreScoredWhicheverReplyComesFirst) {
    std::vector<std::size_t> order{0, 1, 2, 3};
    do {
        Conversation talk = begun();
        for (const std::size_t index : order) {
            const std::string replies[] = {fixture("vllm_tokenize_context"),
                                           fixture("vllm_tokenize_target"), kTokensOfSecond,
                                           echo_of({21, 22, 23, 15, 16})};
            EXPECT_THAT(talk.take(index, replies[index]), HasKind(kTaken));
        }
        ASSERT_THAT(talk.calls(), SizeIs(5));  // the first item's prompt
        talk.take_fixture(4, "vllm_echo_ids");
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.usage().standalone_tokens, 6 + 5);
        EXPECT_THAT(talk.scores()[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
    } while (std::next_permutation(order.begin(), order.end()));
}

/// The second item's text came back with other tokens; call 5 tokenises it as a whole.
Conversation with_other_tokens(const std::vector<int>& ids) {
    Conversation talk = begun();
    take_first_item_tokens(talk);
    talk.take(2, kTokensOfSecond);
    EXPECT_THAT(talk.take(3, echo_of(ids)), HasKind(kTaken));
    EXPECT_THAT(talk.calls(), SizeIs(6));
    EXPECT_EQ(talk.body(5)["prompt"], "Is it bad?\nyes");
    EXPECT_TRUE(talk.calls()[5].is_look_up());
    talk.take_fixture(4, "vllm_echo_ids");
    EXPECT_FALSE(talk.done());
    return talk;
}

TEST(TextFirst, TokensThatMergedOverTheBoundaryAreComparedWithTheTokenisers) {
    Conversation talk = with_other_tokens({21, 22, 99, 16});
    EXPECT_THAT(talk.take(5, R"({"tokens":[21,22,99,16]})"), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.scores()[1][0].token_log_probs, ElementsAre(-3.0));
}

TEST(TextFirst, EchoOfAnotherTextIsNotScoredButAskedForByIds) {
    Conversation talk = with_other_tokens({31, 32, 33, 15, 16});
    talk.take(5, R"({"tokens":[21,22,23,15,16]})");
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.body(6)["prompt"], Json::parse("[21,22,23,15,16]"));
    EXPECT_THAT(talk.take(6, echo_of({21, 22, 23, 15, 16})), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.scores()[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
}

TEST(TextFirst, ValueThatIsNoneIsAskedForOnceMore) {
    Conversation talk = begun();
    take_first_item_tokens(talk);
    talk.take(2, kTokensOfSecond);
    Json spoilt = Json::parse(echo_of({21, 22, 23, 15, 16}));
    spoilt["choices"][0]["logprobs"]["token_logprobs"][4] = nullptr;
    talk.take(3, spoilt.dump());
    talk.take(5, R"({"tokens":[21,22,23,15,16]})");
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.path(6), "/v1/completions");
}

TEST(TextFirst, FailedTokeniserOfTheFirstItemLeavesTheOthersTheirOwn) {
    Conversation talk = begun();
    talk.take_fixture(0, "vllm_tokenize_context");
    talk.take(2, kTokensOfSecond);
    talk.take(3, echo_of({21, 22, 23, 15, 16}));
    EXPECT_THAT(talk.fail(1, 500), HasKind(kRefused));
    ASSERT_THAT(talk.calls(), SizeIs(5));
    talk.take(4, R"({"tokens":[21,22,23,15,16]})");
    ASSERT_TRUE(talk.done());
    const auto scores = talk.scores();
    EXPECT_FALSE(scores[0][0].ok());
    EXPECT_THAT(scores[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
}

TEST(TextFirst, IgnoredEchoIsBroken) {
    Conversation talk = begun();
    EXPECT_THAT(talk.take_fixture(3, "llama_server_ignored_echo"), HasKind(kBroken));
}

TEST(TextFirst, OtherTargetsThanTheFirstItemsAreTokenisedFirst) {
    Conversation talk = vllm().score(two_items("\nno"));
    ASSERT_THAT(talk.calls(), SizeIs(4));
    EXPECT_EQ(talk.path(3), "/tokenize");
    EXPECT_EQ(talk.body(3)["prompt"], "Is it bad?\nno");
}

TEST(TextFirst, TextThatMayBeTooLongIsTokenisedFirst) {
    Server server = vllm();
    server.facts.context_tokens = 14;  // as many as the second text has bytes
    EXPECT_EQ(server.score(two_items()).path(3), "/tokenize");
    server.facts.context_tokens = 15;
    EXPECT_EQ(server.score(two_items()).path(3), "/v1/completions");
}

}  // namespace
}  // namespace dln::http
