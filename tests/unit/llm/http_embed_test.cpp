// Embeddings over /v1/embeddings: calls, and replies good and bad.

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Server embedding_server(std::size_t prompts_a_call = 2) {
    Server server("openai-embeddings");
    server.facts.prompts_a_call = prompts_a_call;
    return server;
}

/// A reply as OpenAI's API gives it.
std::string reply_of(const std::vector<std::vector<Json>>& vectors) {
    Json data = Json::array();
    for (const auto& vector : vectors) {
        data.push_back({{"object", "embedding"}, {"index", data.size()}, {"embedding", vector}});
    }
    return Json{{"object", "list"},
                {"data", std::move(data)},
                {"model", "m"},
                {"usage", {{"prompt_tokens", 5}, {"total_tokens", 5}}}}
        .dump();
}

TEST(HttpEmbeddings, TextsGoInListsAndComeBackInTheirOrder) {
    Conversation talk = embedding_server().embed({"one", "two", "three"});
    ASSERT_THAT(talk.calls(), SizeIs(2));
    EXPECT_EQ(talk.path(0), "/v1/embeddings");
    EXPECT_EQ(talk.body(0), Json::parse(R"({"model":"m","input":["one","two"],
                                            "encoding_format":"float"})"));
    EXPECT_EQ(talk.calls()[0].prompts, 2);
    EXPECT_EQ(talk.body(1)["input"], Json::parse(R"(["three"])"));
    EXPECT_THAT(talk.take(1, reply_of({{3.0, -1.0}})), HasKind(kTaken));
    Json swapped = Json::parse(reply_of({{2.0, 0.5}, {1.0, 0.25}}));
    swapped["data"][0]["index"] = 1;
    swapped["data"][1]["index"] = 0;
    EXPECT_THAT(talk.take(0, swapped.dump()), HasKind(kTaken));
    ASSERT_TRUE(talk.done());
    const auto embeddings = talk.embeddings();
    EXPECT_THAT(embeddings[0].values, ElementsAre(1.0F, 0.25F));
    EXPECT_THAT(embeddings[1].values, ElementsAre(2.0F, 0.5F));
    EXPECT_THAT(embeddings[2].values, ElementsAre(3.0F, -1.0F));
}

TEST(HttpEmbeddings, UsageIsTheServersAndEachTextIsARequest) {
    Conversation talk = embedding_server().embed({"one", "two"});
    EXPECT_THAT(talk.take(0, reply_of({{1}, {2}})), HasKind(kTaken));
    EXPECT_EQ(talk.usage().calls, 2);
    EXPECT_EQ(talk.usage().requests, 2);
    EXPECT_EQ(talk.usage().prompt_tokens, 5);
    EXPECT_EQ(talk.usage().generated_tokens, 0);
}

TEST(HttpEmbeddings, TokensAreEstimatedWhereTheServerDoesNotSay) {
    Conversation talk = embedding_server().embed({"one", "two"});
    Json reply = Json::parse(reply_of({{1}, {2}}));
    reply.erase("usage");
    EXPECT_THAT(talk.take(0, reply.dump()), HasKind(kTaken));
    EXPECT_EQ(talk.usage().prompt_tokens, 4);
}

struct BadReply {
    const char* name;
    std::string body;
    const char* reason;
};

class BadEmbeddings : public ::testing::TestWithParam<BadReply> {};

TEST_P(BadEmbeddings, AreMalformedAndLeaveTheCallOpen) {
    Conversation talk = embedding_server().embed({"one", "two"});
    const Verdict verdict = talk.take(0, GetParam().body);
    EXPECT_THAT(verdict, HasKind(kMalformed));
    EXPECT_THAT(verdict.reason, HasSubstr(GetParam().reason));
    EXPECT_FALSE(talk.done());
    EXPECT_THAT(talk.take(0, reply_of({{1}, {2}})), HasKind(kTaken));
    EXPECT_TRUE(talk.done());
}

INSTANTIATE_TEST_SUITE_P(
    Http,
    BadEmbeddings,
    ::testing::Values(
        BadReply{"TooFew", reply_of({{1, 2}}), "missing"},
        BadReply{"TooMany", reply_of({{1}, {2}, {3}}), "too many"},
        BadReply{"SameIndexTwice",
                 R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]})", "twice"},
        BadReply{"NoData", R"({"model":"m"})", "missing"},
        BadReply{"OtherDimension", reply_of({{1, 2, 3}, {1, 2}}), "2 numbers where others have 3"},
        BadReply{"Empty", reply_of({{}, {}}), "without a list of numbers"},
        BadReply{"Text", reply_of({{1, "2"}, {1, 2}}), "no number"},
        BadReply{"Null", reply_of({{1, nullptr}, {1, 2}}), "no number"},
        BadReply{"Base64", R"({"data":[{"index":0,"embedding":"AACAPw=="},
                               {"index":1,"embedding":"AACAPw=="}]})",
                 "without a list of numbers"},
        BadReply{"NotPooled", reply_of({{Json{1, 2}, Json{3, 4}}, {Json{1, 2}}}), "--pooling mean"},
        BadReply{"LargerThanAFloat", reply_of({{1e39, 1}, {1, 1}}), "not finite"},
        BadReply{"Infinite", R"({"data":[{"index":0,"embedding":[1e400]},
                                 {"index":1,"embedding":[1]}]})",
                 ""},
        BadReply{"Zeros", reply_of({{0.0, 0}, {1, 2}}), "zeros"},
        BadReply{"Error", R"({"error":{"message":"loading"}})", "loading"},
        BadReply{"NoJson", "<html>", ""}),
    [](const auto& about) { return std::string(about.param.name); });

TEST(HttpEmbeddings, ListThatIsRefusedIsAskedForTextByText) {
    Conversation talk = embedding_server().embed({"one", "too long"});
    const Verdict verdict = talk.fail(0, 400, R"({"error":{"message":"8193 tokens"}})");
    EXPECT_THAT(verdict, HasKind(kTaken));
    ASSERT_THAT(talk.calls(), SizeIs(3));
    EXPECT_EQ(talk.body(2)["input"], Json::parse(R"(["too long"])"));
    EXPECT_THAT(talk.take(1, reply_of({{1}})), HasKind(kTaken));
    EXPECT_THAT(talk.fail(2, 400, R"({"error":{"message":"8193 tokens"}})"), HasKind(kRefused));
    const auto embeddings = talk.embeddings();
    EXPECT_TRUE(embeddings[0].ok());
    EXPECT_THAT(embeddings[1], FailsWith("8193 tokens"));
}

TEST(HttpEmbeddings, TextThatIsNoUtf8IsNotSent) {
    Conversation talk = embedding_server().embed({"a\xff", "b"});
    ASSERT_THAT(talk.calls(), SizeIs(1));
    EXPECT_EQ(talk.body(0)["input"], Json::parse(R"(["b"])"));
    EXPECT_THAT(talk.take(0, reply_of({{1}})), HasKind(kTaken));
    EXPECT_THAT(talk.embeddings()[0], FailsWith("offset 1"));
}

TEST(HttpEmbeddings, OtherDialectsEmbedNothing) {
    Conversation talk = Server("openai").embed({"one"});
    EXPECT_TRUE(talk.done());
    EXPECT_THAT(talk.embeddings().at(0), FailsWith("embeds no texts"));
}

TEST(HttpEmbeddings, ServerForThemIsAskedForNothingElse) {
    Conversation scores = embedding_server().score(is_it_good());
    EXPECT_THAT(scores.score(), FailsWith("nothing else"));
    Conversation texts = embedding_server().generate({.items = {{{.text = "a"}, 0}}});
    EXPECT_THAT(texts.texts().at(0), FailsWith("nothing else"));
}

TEST(HttpEmbeddings, ServerWithoutAListOfModelsNeedsAName) {
    const Server server = embedding_server();
    ServerFacts named{.model = "all-minilm"};
    EXPECT_EQ(server.dialect->learn(0, 404, "", named), "");
    EXPECT_EQ(named.model, "all-minilm");
    ServerFacts unnamed;
    EXPECT_THAT(server.dialect->learn(0, 404, "", unnamed), HasSubstr("HTTP 404"));
}

}  // namespace
}  // namespace dln::http
