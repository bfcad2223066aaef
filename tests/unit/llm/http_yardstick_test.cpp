// What a server scored before an outage, against what it scores afterwards.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/http/yardstick.hpp"

namespace dln::http {
namespace {

using ::testing::HasSubstr;

Request score_request(const std::string& text) {
    return ScoreRequest{.items = {{{.text = text}, {" a", " b"}}, {{.text = "other"}, {" c"}}}};
}

ScoreReply reply_of(const std::vector<double>& a, const std::vector<double>& b) {
    return {.scores = {{{.token_log_probs = a}, {.token_log_probs = b}}}};
}

Yardstick known() {
    Yardstick yardstick;
    yardstick.note_request(7, score_request("first"));
    yardstick.note_reply(7, reply_of({-1.0, -2.0}, {-3.0}));
    return yardstick;
}

TEST(Yardstick, IsTheFirstItemThatWasScored) {
    Yardstick yardstick;
    EXPECT_FALSE(yardstick.is_set());
    yardstick.note_request(1, GenerateRequest{.items = {{{.text = "x"}, 1}}});
    yardstick.note_request(7, score_request("first"));
    yardstick.note_request(8, score_request("second"));
    yardstick.note_reply(8, reply_of({-1.0}, {-2.0}));
    EXPECT_FALSE(yardstick.is_set()) << "a reply to another request";
    yardstick.note_reply(7, reply_of({-1.0}, {-2.0}));
    ASSERT_TRUE(yardstick.is_set());
    EXPECT_EQ(yardstick.request().items.size(), 1U);
    EXPECT_EQ(yardstick.request().items[0].context.text, "first");
}

TEST(Yardstick, IsAnotherItemWhenOneHasNoScore) {
    Yardstick yardstick;
    yardstick.note_request(7, score_request("first"));
    yardstick.note_reply(7, ScoreReply{.scores = {{{.error = "too long"}, {.error = "too long"}}}});
    EXPECT_FALSE(yardstick.is_set());
    yardstick.note_request(8, score_request("second"));
    yardstick.note_reply(8, reply_of({-1.0}, {-2.0}));
    EXPECT_EQ(yardstick.request().items[0].context.text, "second");
}

TEST(Yardstick, AllowsTheNoiseOfAServer) {
    EXPECT_EQ(known().compare(reply_of({-1.02, -1.9}, {-3.01})), "");
}

TEST(Yardstick, SaysWhatIsDifferent) {
    EXPECT_THAT(known().compare(reply_of({-2.0, -3.0}, {-0.5})), HasSubstr("1.5 nats a token"));
    EXPECT_THAT(known().compare(reply_of({-1.0}, {-3.0})), HasSubstr("2 tokens has 1 now"));
    const ScoreReply none{.scores = {{{.error = "no echo"}, {.error = "no echo"}}}};
    EXPECT_THAT(known().compare(none), HasSubstr("has none: no echo"));
}

}  // namespace
}  // namespace dln::http
