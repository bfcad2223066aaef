// Which addresses are accepted, and to which a key may be sent.

#include "llm/http/address.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln::http {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Address parse(const std::string& text) { return parse_address(text, "job.json: /backend/address"); }

std::string refusal(const std::string& text) {
    try {
        return "accepted as " + parse(text).url();
    } catch (const UsageError& error) {
        return error.what();
    }
}

TEST(Address, HasItsPartsOrTheirDefaults) {
    EXPECT_EQ(parse("http://node12:8000/v1/"),
              (Address{.tls = false, .host = "node12", .port = 8000, .path = "/v1"}));
    EXPECT_EQ(parse("HTTPS://API.Example.org"),
              (Address{.tls = true, .host = "api.example.org", .port = 443, .path = ""}));
    EXPECT_EQ(parse("http://[::1]/a/b"),
              (Address{.tls = false, .host = "::1", .port = 80, .path = "/a/b"}));
}

TEST(Address, IsShownAsItIsRequested) {
    for (const std::string text :
         {"http://node12:8000/v1", "https://a.b:443", "http://[::1]:80/x"}) {
        EXPECT_EQ(parse(text).url(), text);
    }
}

TEST(Address, IsRefusedWithTheReason) {
    EXPECT_THAT(refusal("node12:8000"), HasSubstr("no scheme"));
    EXPECT_THAT(refusal("ftp://node12"), HasSubstr("no scheme"));
    EXPECT_THAT(refusal("http://"), HasSubstr("no host"));
    EXPECT_THAT(refusal("http://:80"), HasSubstr("no host"));
    EXPECT_THAT(refusal("http://a b/"), HasSubstr("a host with characters"));
    EXPECT_THAT(refusal("http://a:0"), HasSubstr("1..65535"));
    EXPECT_THAT(refusal("http://a:65536"), HasSubstr("1..65535"));
    EXPECT_THAT(refusal("http://a:80x"), HasSubstr("1..65535"));
    EXPECT_THAT(refusal("http://a:"), HasSubstr("1..65535"));
    EXPECT_THAT(refusal("http://[::1"), HasSubstr("bracket"));
    EXPECT_THAT(refusal("http://[::g]"), HasSubstr("IPv6"));
    EXPECT_THAT(refusal("http://[::1]x"), HasSubstr("behind the host"));
    EXPECT_THAT(refusal("http://a/b/../c"), HasSubstr("path"));
    EXPECT_THAT(refusal("http://a/b\r\nX: y"), HasSubstr("path"));
}

TEST(Address, NeverShowsWhatItRefusesForHoldingAKey) {
    EXPECT_THAT(refusal("https://me:canary@host/v1"),
                AllOf(HasSubstr("a user part"), Not(HasSubstr("canary"))));
    EXPECT_THAT(refusal("https://host/v1?api_key=canary"),
                AllOf(HasSubstr("a query"), Not(HasSubstr("canary"))));
    EXPECT_THAT(refusal("me:canary@host"), AllOf(HasSubstr("no scheme"), Not(HasSubstr("canary"))));
}

TEST(Loopback, IsThisMachineOnly) {
    for (const std::string text : {"http://localhost", "http://LOCALHOST:1", "http://127.0.0.1",
                                   "http://127.9.8.7:80", "http://[::1]:8000"}) {
        EXPECT_TRUE(is_loopback(parse(text))) << text;
    }
    for (const std::string text : {"http://127.0.0.1.example.org", "http://localhost.example.org",
                                   "http://128.0.0.1", "http://[::2]", "http://0.0.0.0"}) {
        EXPECT_FALSE(is_loopback(parse(text))) << text;
    }
}

TEST(Key, TravelsInClearTextOnThisMachineOnlyUnlessAllowed) {
    EXPECT_TRUE(key_may_travel(parse("https://node12"), false));
    EXPECT_TRUE(key_may_travel(parse("http://127.0.0.1"), false));
    EXPECT_FALSE(key_may_travel(parse("http://node12"), false));
    EXPECT_TRUE(key_may_travel(parse("http://node12"), true));
}

}  // namespace
}  // namespace dln::http
