// Replies as other people's data: what is not clean JSON is a reason, never a crash.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/http/log_prob.hpp"
#include "llm/http/strict_json.hpp"

namespace dln::http {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string nested(std::size_t levels) {
    return std::string(levels, '[') + "1" + std::string(levels, ']');
}

TEST(StrictJson, TakesACleanReply) {
    const ParsedReply parsed = parse_reply(R"({"a":[1,null,"\u00e9\u0000"]})");
    ASSERT_TRUE(parsed.ok()) << parsed.error;
    EXPECT_EQ(parsed.value["a"][2].get<std::string>(), std::string("\xC3\xA9\0", 3));
}

TEST(StrictJson, LeavesOutWhatIsLongAndNotRead) {
    const auto parsed =
        parse_reply(R"({"a":{"top_logprobs":[{"x":1}],"prompt_logprobs":[{}]},"b":2})");
    ASSERT_TRUE(parsed.ok()) << parsed.error;
    EXPECT_TRUE(parsed.value["a"]["top_logprobs"].is_null());
    EXPECT_TRUE(parsed.value["a"]["prompt_logprobs"].is_null());
    EXPECT_EQ(parsed.value["b"], 2);
}

TEST(StrictJson, RefusesWhatIsNoJson) {
    for (const std::string body :
         {"", "<html>busy</html>", "{\"a\":1", "{\"a\":1} x", "{\"a\":NaN}", "{\"a\":-Infinity}",
          "{\"a\":1e400}", "{\"a\":\"\xFF\"}", "{\"a\":\"\xED\xA0\x80\"}", "{\"a\":\"\\ud800\"}",
          "{\"a\":\"\\udc00x\"}", "{\"a\":'1'}", "\x1f\x8b"}) {
        EXPECT_FALSE(parse_reply(body).ok()) << body;
    }
    EXPECT_THAT(parse_reply("<html>\x1b[2J").error, HasSubstr("begins with \"<html>\\x1b"));
}

TEST(StrictJson, ReplyWithoutABodyIsEmpty) {
    EXPECT_EQ(parse_reply({}).error, "the reply is empty");
    EXPECT_EQ(outermost_text({}, "model"), "");
    EXPECT_EQ(server_words({}), "(nothing)");
}

TEST(StrictJson, RefusesAKeyThatOccursTwice) {
    EXPECT_THAT(parse_reply(R"({"a":{"b":1,"c":2,"b":3}})").error, HasSubstr("\"b\" occurs twice"));
    EXPECT_TRUE(parse_reply(R"([{"b":1},{"b":1}])").ok());
}

TEST(StrictJson, IntegersBeyond64BitsAreDoubles) {
    const ParsedReply parsed =
        parse_reply(R"({"a":1000000000000000019884624838656,"b":[-99999999999999999999,7],
        "c":"1000000000000000019884624838656 \" 5","d":0.12345678901234567890123,"e":1e5})");
    ASSERT_TRUE(parsed.ok()) << parsed.error;
    EXPECT_EQ(parsed.value["a"], 1e30);
    EXPECT_EQ(parsed.value["b"], Json::parse("[-1e20,7]"));
    EXPECT_EQ(parsed.value["c"], "1000000000000000019884624838656 \" 5");
    EXPECT_EQ(parsed.value["d"], 0.12345678901234567890123);
    EXPECT_TRUE(parsed.value["b"][1].is_number_integer());
    EXPECT_FALSE(parse_reply(R"({"a":1e400,"b":99999999999999999999})").ok());
    EXPECT_FALSE(parse_reply("[99999999999999999999, \"" + std::string(1'000'000, '1')).ok());
}

TEST(StrictJson, NestingIsBounded) {
    EXPECT_TRUE(parse_reply(nested(64)).ok());
    EXPECT_THAT(parse_reply(nested(65)).error, HasSubstr("deeper than 64"));
    EXPECT_FALSE(parse_reply(std::string(100'000, '[')).ok());
    EXPECT_EQ(outermost_text("{\"a\":" + std::string(100'000, '['), "model"), "");
}

TEST(StrictJson, OutermostTextIsNotThatOfAnInnerObject) {
    EXPECT_EQ(outermost_text(R"({"x":{"model":"inner"},"model":"m","y":[]})", "model"), "m");
    EXPECT_EQ(outermost_text(R"({"x":{"model":"inner"}})", "model"), "");
    EXPECT_EQ(outermost_text(R"([{"model":"m"}])", "model"), "");
    EXPECT_EQ(outermost_text(R"({"model":7})", "model"), "");
    EXPECT_EQ(outermost_text("<html>", "model"), "");
}

TEST(StrictJson, TokenListTakesWholeNumbersInRange) {
    const auto list = [](const char* text) {
        const Json json = Json::parse(text);
        return token_list(&json);
    };
    EXPECT_EQ(list("[0,2147483647]"), (std::vector<TokenId>{0, 2147483647}));
    for (const char* bad : {"[-1]", "[2147483648]", "[18446744073709551615]", "[1.0]", "[\"1\"]",
                            "[null]", "{}", "7"}) {
        EXPECT_EQ(list(bad), std::nullopt) << bad;
    }
}

TEST(StrictJson, ServerWordsAreTheMessageWhereThereIsOne) {
    EXPECT_EQ(server_words(R"({"error":{"message":"too long","code":400}})"), "too long");
    EXPECT_EQ(server_words(R"({"error":"bad\u001b[2J"})"), "bad\\x1b[2J");
    EXPECT_EQ(server_words(R"({"object":"error","message":"no"})"), "no");
    EXPECT_EQ(server_words(R"({"detail":"Not Found"})"), "Not Found");
    EXPECT_EQ(server_words(" \n"), "(nothing)");
    EXPECT_EQ(server_words("<h1>502</h1>"), "<h1>502</h1>");
    EXPECT_THAT(server_words(std::string(100'000, 'x')), SizeIs(203));
}

TEST(LogProb, IsFiniteAndAtMostZero) {
    const auto read = [](const char* text) { return read_log_prob(Json::parse(text)); };
    EXPECT_EQ(read("-2.5").kind, LogProb::Kind::good);
    EXPECT_EQ(read("-2.5").value, -2.5);
    EXPECT_EQ(read("0").value, 0.0);
    EXPECT_EQ(read("-9997").kind, LogProb::Kind::good);
    for (const char* bad : {"null", "\"-1\"", "true", "[]", "0.1", "0.0000011", "1e300"}) {
        EXPECT_EQ(read(bad).kind, LogProb::Kind::malformed) << bad;
    }
}

TEST(LogProb, RoundingAboveZeroCountsAsZero) {
    const LogProb read = read_log_prob(Json::parse("0.0000009"));
    EXPECT_EQ(read.kind, LogProb::Kind::good);
    EXPECT_EQ(read.value, 0.0);
}

TEST(LogProb, StandInForMinusInfinityIsNoValue) {
    for (const char* floor : {"-9999.0", "-9998", "-1e300"}) {
        EXPECT_EQ(read_log_prob(Json::parse(floor)).kind, LogProb::Kind::floored) << floor;
    }
}

}  // namespace
}  // namespace dln::http
