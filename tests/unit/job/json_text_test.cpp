// JSON as people write it.
#include "job/json_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln::job {
namespace {

using ::testing::StartsWith;

std::string fault(const std::string& text) {
    try {
        (void)parse_json_text(text, "a.json");
        return "";
    } catch (const UsageError& error) {
        return error.what();
    }
}

TEST(JsonText, MayHoldComments) {
    const auto json = parse_json_text("// a\n{\"a\": /* b */ 1}\n// c", "a.json");
    EXPECT_EQ(json.dump(), "{\"a\":1}");
}

TEST(JsonText, KeepsTheOrderOfFields) {
    EXPECT_EQ(parse_json_text(R"({"z": {"y": 1, "b": 2}, "a": []})", "").dump(),
              R"({"z":{"y":1,"b":2},"a":[]})");
}

TEST(JsonText, MayHoldTheSameKeyInDifferentObjects) {
    EXPECT_EQ(fault(R"([{"a": {"a": 1}}, {"a": [{"a": 1}]}])"), "");
}

struct BadText {
    const char* text;
    const char* start;
};

class BadTexts : public ::testing::TestWithParam<BadText> {};

TEST_P(BadTexts, AreToldWithTheirPlace) {
    EXPECT_THAT(fault(GetParam().text), StartsWith(GetParam().start));
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    BadTexts,
    ::testing::Values(
        BadText{"{\n  \"a\": 1,\n}", "a.json:3:1: not valid JSON: "},
        BadText{"{\"a\": 1} x", "a.json:1:10: not valid JSON: "},
        BadText{"", "a.json:1:1: not valid JSON: "},
        BadText{"{\"a\": NaN}", "a.json:1:7: not valid JSON: "},
        BadText{"{\"a\": 1e999}", "a.json: not valid JSON: number overflow"},
        BadText{"[\"\\ud800\"]", "a.json:1:9: not valid JSON: "},
        BadText{"{} /* open", "a.json:1:11: not valid JSON: "},
        BadText{"{\n\"a\xFF\": 1}", "a.json:2:3: not UTF-8: the byte at offset 4 is invalid"},
        BadText{"// caf\xE9\n{}", "a.json:1:7: not UTF-8: the byte at offset 6 is invalid"},
        BadText{R"({"a": 1, "a": 1})", "a.json: /a: this field occurs twice"},
        BadText{R"({"x": [1, {"a/b": {}, "c": 1, "a/b": 2}]})",
                "a.json: /x/1/a~1b: this field occurs twice"}));

TEST(JsonText, IsNotNestedWithoutEnd) {
    EXPECT_THAT(fault(std::string(100000, '[')),
                StartsWith("a.json: nested deeper than 64 levels"));
}

}  // namespace
}  // namespace dln::job
