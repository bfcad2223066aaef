// Scores of texts that are sent before they are tokenised (vLLM, TGI): which are, how it is told with which
// tokens they should come back, and how their echo is verified by these.

#include <algorithm>

#include <gtest/gtest.h>

#include "llm/http/endings.hpp"
#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- Endings

/// Endings that were told what "anchor" and "anchor\nyes" are.
Endings told(std::vector<TokenId> anchor, std::vector<TokenId> whole) {
    Endings endings;
    EXPECT_THAT(endings.note("anchor", "\nyes"), ElementsAre(0, 1));
    EXPECT_EQ(endings.text(0), "anchor");
    EXPECT_EQ(endings.text(1), "anchor\nyes");
    endings.settle(0, std::move(anchor));
    endings.settle(1, std::move(whole));
    return endings;
}

TEST(Endings, AnchorBeginsAtTheLastWhiteSpaceThatIsNotTooNear) {
    EXPECT_EQ(anchor_of(""), "");
    EXPECT_EQ(anchor_of("so short"), "so short");
    EXPECT_EQ(anchor_of("What is it?\n\nthe old gate 17"), " old gate 17");
    EXPECT_EQ(anchor_of("Phrase: a dull film\nSentiment:"), "\nSentiment:");
    EXPECT_EQ(anchor_of(std::string(100, 'x')), std::string(64, 'x'));
}

TEST(Endings, AnchorIsCutBetweenCharacters) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "\xE2\x82\xAC";  // 3 bytes each: 64 would cut one
    EXPECT_EQ(anchor_of(text).size(), 63U);
}

TEST(Endings, TargetFollowsAsItFollowsTheAnchor) {
    EXPECT_THAT(told({1, 2}, {1, 2, 3, 4}).expected("\nyes", {8, 9}).tokens,
                ElementsAre(8, 9, 3, 4));
}

TEST(Endings, TokenThatMergesWithTheAnchorMergesWithContextsThatEndInIt) {
    const Endings endings = told({1, 2}, {1, 5, 4});
    EXPECT_THAT(endings.expected("\nyes", {8, 9, 2}).tokens, ElementsAre(8, 9, 5, 4));
    EXPECT_THAT(endings.expected("\nyes", {8, 9}).tokens, IsEmpty());
    EXPECT_FALSE(endings.expected("\nyes", {8, 9}).may_come);
}

TEST(Endings, NothingIsExpectedBeforeBothTextsAreTokenised) {
    Endings endings;
    static_cast<void>(endings.note("anchor", "\nyes"));
    EXPECT_TRUE(endings.expected("\nyes", {1}).may_come);
    endings.settle(1, {1, 2});
    EXPECT_TRUE(endings.expected("\nyes", {1}).may_come);
    endings.settle(0, {});  // nobody can tell
    EXPECT_FALSE(endings.expected("\nyes", {1}).may_come);
    EXPECT_THAT(endings.expected("\nyes", {1}).tokens, IsEmpty());
}

TEST(Endings, TextIsAskedForOnce) {
    Endings endings;
    EXPECT_THAT(endings.note("one anchor:", "\nyes"), ElementsAre(0, 1));
    EXPECT_THAT(endings.note("one anchor:", "\nno"), ElementsAre(2));
    EXPECT_THAT(endings.note("another anchor:", "\nyes"), IsEmpty());
}

// --- texts that are sent first

Server vllm_with_lists() {
    Server server = vllm();
    server.facts.prompts_a_call = 8;
    return server;
}

ScoreRequest two_items(const std::string& target = "\nyes") {
    return {{{.context = {.text = "Is it good?"}, .targets = {"\nyes"}},
             {.context = {.text = "Is it bad?"}, .targets = {target}}}};
}

constexpr std::size_t kAnchor = 1;
constexpr std::size_t kEnding = 2;
constexpr std::size_t kSecond = 3;
constexpr std::size_t kTexts = 4;
constexpr const char* kTokensOf[] = {R"({"tokens":[11,12,13,14]})", R"({"tokens":[13,14]})",
                                     R"({"tokens":[13,14,15,16]})", R"({"tokens":[21,22,23]})"};

/// Calls 0 to 3 tokenise the first context, the anchor, the anchor with the target, and the second context;
/// 4 has both texts.
Conversation begun() { return vllm_with_lists().score(two_items()); }

void take_tokens(Conversation& talk, std::vector<std::size_t> calls = {0, 1, 2, 3}) {
    for (const std::size_t call : calls) {
        EXPECT_THAT(talk.take(call, kTokensOf[call]), HasKind(kTaken));
    }
}

/// An echo of these texts' tokens, whose values are -0, -1, -2, ..., and of one that was generated for each.
Json echoes_of(const std::vector<std::vector<int>>& texts) {
    Json choices = Json::array();
    for (const std::vector<int>& ids : texts) {
        Json tokens = Json::array();
        Json values = Json::array();
        for (std::size_t i = 0; i < ids.size(); ++i) {
            tokens.push_back("token_id:" + std::to_string(ids[i]));
            values.push_back(i == 0 ? Json() : Json(-static_cast<double>(i)));
        }
        tokens.push_back("token_id:7");
        values.push_back(-0.5);
        const Json log_probs{{"tokens", tokens}, {"token_logprobs", values}};
        choices.push_back({{"index", choices.size()},
                           {"text", ""},
                           {"prompt_token_ids", ids},
                           {"logprobs", log_probs}});
    }
    return {{"model", "m"}, {"choices", choices}};
}

const std::vector<int> kFirst{11, 12, 13, 14, 15, 16};

/// Both as they are expected.
std::string good_echo() { return echoes_of({kFirst, {21, 22, 23, 15, 16}}).dump(); }

TEST(TextFirst, TextsAreSentAtOnceBesideTheirContextsToTheTokeniser) {
    Conversation talk = begun();
    ASSERT_THAT(talk.calls(), SizeIs(5));
    EXPECT_EQ(talk.body(0)["prompt"], "Is it good?");
    EXPECT_EQ(talk.body(kAnchor)["prompt"], " it good?");
    EXPECT_EQ(talk.body(kEnding)["prompt"], " it good?\nyes");
    EXPECT_EQ(talk.body(kSecond)["prompt"], "Is it bad?");
    EXPECT_EQ(talk.path(kSecond), "/tokenize");
    EXPECT_EQ(talk.path(kTexts), "/v1/completions");
    EXPECT_EQ(talk.body(kTexts)["prompt"],
              Json::parse(R"(["Is it good?\nyes","Is it bad?\nyes"])"));
    EXPECT_TRUE(talk.body(kTexts)["return_token_ids"]);
    EXPECT_TRUE(talk.calls()[kEnding].is_look_up());
    EXPECT_FALSE(talk.calls()[kTexts].is_look_up());
}

TEST(TextFirst, ContextAndKnownEndingAreScoredWhicheverReplyComesFirst) {
    std::vector<std::size_t> order{0, 1, 2, 3, 4};
    do {
        Conversation talk = begun();
        for (const std::size_t index : order) {
            const std::string reply = index == kTexts ? good_echo() : kTokensOf[index];
            EXPECT_THAT(talk.take(index, reply), HasKind(kTaken));
        }
        EXPECT_THAT(talk.calls(), SizeIs(5));
        ASSERT_TRUE(talk.done());
        EXPECT_THAT(talk.usage().standalone_tokens, 6 + 5);
        EXPECT_EQ(talk.usage().requests, 2);
        const auto scores = talk.scores();
        EXPECT_THAT(scores[0][0].token_log_probs, ElementsAre(-4.0, -5.0));
        EXPECT_THAT(scores[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST(TextFirst, SwappedEchoesAreNotTakenForEachOther) {
    Conversation talk = begun();
    take_tokens(talk);
    talk.take(kTexts, echoes_of({{21, 22, 23, 15, 16}, kFirst}).dump());
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.body(5)["prompt"], "Is it good?\nyes");
    EXPECT_EQ(talk.body(6)["prompt"], "Is it bad?\nyes");
    EXPECT_TRUE(talk.calls()[6].is_look_up());
}

/// The second item's text came back with other tokens; call 5 tokenises it as a whole.
Conversation with_other_tokens(const std::vector<int>& ids) {
    Conversation talk = begun();
    take_tokens(talk);
    EXPECT_THAT(talk.take(kTexts, echoes_of({kFirst, ids}).dump()), HasKind(kTaken));
    EXPECT_THAT(talk.calls(), SizeIs(6));
    EXPECT_EQ(talk.body(5)["prompt"], "Is it bad?\nyes");
    EXPECT_TRUE(talk.calls()[5].is_look_up());
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
    EXPECT_THAT(talk.take(6, echoes_of({{21, 22, 23, 15, 16}}).dump()), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    EXPECT_THAT(talk.scores()[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
}

TEST(TextFirst, ValueThatIsNoneIsAskedForOnceMore) {
    Conversation talk = begun();
    take_tokens(talk);
    Json spoilt = echoes_of({kFirst, {21, 22, 23, 15, 16}});
    spoilt["choices"][1]["logprobs"]["token_logprobs"][4] = nullptr;
    talk.take(kTexts, spoilt.dump());
    talk.take(5, R"({"tokens":[21,22,23,15,16]})");
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.path(6), "/v1/completions");
}

TEST(TextFirst, WithoutAnEndingTextsAreTokenisedAsAWhole) {
    Conversation talk = begun();
    take_tokens(talk, {0, kAnchor, kSecond});
    talk.take(kTexts, good_echo());
    EXPECT_THAT(talk.calls(), SizeIs(5));
    EXPECT_THAT(talk.fail(kEnding, 500), HasKind(kRefused));
    ASSERT_THAT(talk.calls(), SizeIs(7));
    talk.take(5, R"({"tokens":[11,12,13,14,15,16]})");
    talk.take(6, R"({"tokens":[21,22,23,15,16]})");
    ASSERT_TRUE(talk.done());
    const auto scores = talk.scores();
    EXPECT_THAT(scores[0][0].token_log_probs, ElementsAre(-4.0, -5.0));
    EXPECT_THAT(scores[1][0].token_log_probs, ElementsAre(-3.0, -4.0));
}

TEST(TextFirst, ContextThatCannotBeTokenisedFailsItsItemAlone) {
    Conversation talk = begun();
    take_tokens(talk, {0, kAnchor, kEnding});
    EXPECT_THAT(talk.fail(kSecond, 500), HasKind(kRefused));
    talk.take(kTexts, good_echo());
    ASSERT_TRUE(talk.done());
    const auto scores = talk.scores();
    EXPECT_TRUE(scores[0][0].ok());
    EXPECT_FALSE(scores[1][0].ok());
}

TEST(TextFirst, IgnoredEchoIsBroken) {
    Conversation talk = vllm().score(is_it_good());
    EXPECT_THAT(talk.take_fixture(3, "llama_server_ignored_echo"), HasKind(kBroken));
}

TEST(TextFirst, EachTargetHasItsOwnEnding) {
    Conversation talk = vllm_with_lists().score(two_items("\nno"));
    ASSERT_THAT(talk.calls(), SizeIs(7));
    EXPECT_EQ(talk.body(3)["prompt"], "Is it bad?");
    EXPECT_EQ(talk.body(4)["prompt"], "Is it bad?");  // so short that it is its own anchor
    EXPECT_EQ(talk.body(5)["prompt"], "Is it bad?\nno");
    EXPECT_EQ(talk.path(6), "/v1/completions");
}

TEST(TextFirst, TextThatMayBeTooLongIsTokenisedFirst) {
    Server server = vllm_with_lists();
    server.facts.context_tokens = 14;  // as many as the second text has bytes
    EXPECT_EQ(server.score(two_items()).path(3), "/tokenize");
    server.facts.context_tokens = 15;
    const Conversation talk = server.score(two_items());
    ASSERT_THAT(talk.calls(), SizeIs(6));  // the first text is longer still
    EXPECT_EQ(talk.path(5), "/v1/completions");
    EXPECT_EQ(talk.body(5)["prompt"], "Is it bad?\nyes");
}

}  // namespace
}  // namespace dln::http
