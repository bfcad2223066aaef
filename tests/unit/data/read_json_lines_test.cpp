#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ReadJsonLines : public DataFolder {
  protected:
    [[nodiscard]] SplitSpec lines(std::string_view content) const {
        return spec("x.jsonl", content);
    }
    [[nodiscard]] Pairs read(std::string_view content) const {
        return pairs_of(read_split(lines(content)));
    }
};

TEST_F(ReadJsonLines, KeepsTheOrderOfTheFile) {
    EXPECT_EQ(
        read("{\"input\": \"a\", \"target\": \"x\"}\n{\"target\": \"y\", \"input\": \"b\"}\n"),
        (Pairs{{"a", "x"}, {"b", "y"}}));
}

TEST_F(ReadJsonLines, AcceptsByteOrderMarkCrlfBlankLinesAndAMissingLastLineEnd) {
    EXPECT_EQ(read("\xEF\xBB\xBF{\"input\": \"a\", \"target\": \"x\"}\r\n\r\n  \n"
                   "{\"input\": \"b\", \"target\": \"y\"}"),
              (Pairs{{"a", "x"}, {"b", "y"}}));
}

TEST_F(ReadJsonLines, DecodesEscapes) {
    EXPECT_EQ(read(R"({"input": "\u00e9\n\ud83d\ude00\u0000\"", "target": "\\"})"),
              (Pairs{{"\xC3\xA9\n\xF0\x9F\x98\x80\0\""s, "\\"}}));
}

TEST_F(ReadJsonLines, TakesNumbersAndBooleansAsTargetsAsTheyAreWritten) {
    EXPECT_EQ(
        read("{\"input\": \"a\", \"target\": 0}\n{\"input\": \"a\", \"target\": -3}\n"
             "{\"input\": \"a\", \"target\": 1.50}\n{\"input\": \"a\", \"target\": true}\n"
             "{\"input\": \"a\", \"target\": 18446744073709551615}\n"),
        (Pairs{
            {"a", "0"}, {"a", "-3"}, {"a", "1.50"}, {"a", "true"}, {"a", "18446744073709551615"}}));
}

TEST_F(ReadJsonLines, IgnoresOtherFieldsWhateverTheyHold) {
    EXPECT_EQ(read(R"({"meta": {"input": "no", "list": [{"target": "no"}, []]}, "input": "a",)"
                   R"( "n": null, "target": "x", "z": [1, {"input": 3}]})"),
              (Pairs{{"a", "x"}}));
}

TEST_F(ReadJsonLines, ReadsTheFieldsThatTheSplitNames) {
    auto split = lines(R"({"text": "a", "label": "x", "input": "no"})");
    split.input_field = "text";
    split.target_field = "label";
    EXPECT_EQ(pairs_of(read_split(split)), (Pairs{{"a", "x"}}));
}

TEST_F(ReadJsonLines, GivesLabelsTheirTargets) {
    auto split = lines("{\"input\": \"a\", \"target\": 0}\n{\"input\": \"b\", \"target\": \"1\"}");
    split.labels = {{"0", "negative"}, {"1", "positive"}};
    EXPECT_EQ(pairs_of(read_split(split, {"negative", "positive"})),
              (Pairs{{"a", "negative"}, {"b", "positive"}}));
}

TEST_F(ReadJsonLines, StopsAtTheLimitWithoutLookingFurther) {
    auto split = lines("{\"input\": \"a\", \"target\": \"x\"}\nnot JSON at all\n");
    split.limit = 1;
    EXPECT_EQ(read_split(split).size(), 1U);
    split.limit = 2;
    EXPECT_THAT(refusal(split), StartsWith("x.jsonl:2: not valid JSON"));
}

TEST_F(ReadJsonLines, AllowsALimitBeyondTheEnd) {
    auto split = lines("{\"input\": \"a\", \"target\": \"x\"}");
    split.limit = 5;
    EXPECT_EQ(read_split(split).size(), 1U);
}

TEST_F(ReadJsonLines, NamesTheMissingFieldAndItsNearMiss) {
    EXPECT_THAT(
        refusal(lines("\n{\"inputs\": \"a\", \"target\": \"x\"}")),
        StartsWith("x.jsonl:2: no field \"input\" for the input: found \"inputs\", \"target\". "
                   "Did you mean \"inputs\"?"));
    EXPECT_THAT(refusal(lines("{}")),
                StartsWith("x.jsonl:1: no field \"input\" for the input: there is none."));
}

TEST_F(ReadJsonLines, NamesTheWrongType) {
    EXPECT_THAT(refusal(lines(R"({"input": 5, "target": "x"})")),
                HasSubstr("field \"input\" is 5; the input must be a string"));
    EXPECT_THAT(refusal(lines(R"({"input": ["a"], "target": "x"})")),
                HasSubstr("field \"input\" is an array"));
    EXPECT_THAT(refusal(lines(R"({"input": "a", "target": {"x": 1}})")),
                HasSubstr("field \"target\" is an object; the target must be"));
    EXPECT_THAT(refusal(lines(R"({"input": "a", "target": null})")),
                HasSubstr("field \"target\" is null"));
}

TEST_F(ReadJsonLines, RefusesDoubledFields) {
    EXPECT_THAT(refusal(lines(R"({"input": "a", "target": "x", "input": "b"})")),
                HasSubstr("x.jsonl:1: field \"input\" occurs twice"));
}

TEST_F(ReadJsonLines, RefusesAnEmptyTarget) {
    EXPECT_THAT(refusal(lines(R"({"input": "a", "target": ""})")),
                HasSubstr("x.jsonl:1: field \"target\" is empty"));
}

TEST_F(ReadJsonLines, RefusesATargetThatIsNoClass) {
    EXPECT_EQ(refusal(lines(R"({"input": "a", "target": "Positive"})"), {"positive", "negative"}),
              "x.jsonl:1: target \"Positive\" is none of the classes. Expected one of: "
              "\"positive\", \"negative\". Did you mean \"positive\"?");
}

TEST_F(ReadJsonLines, RefusesAnUnknownLabel) {
    auto split = lines(R"({"input": "a", "target": 2})");
    split.labels = {{"0", "negative"}, {"1", "positive"}};
    EXPECT_THAT(refusal(split),
                StartsWith("x.jsonl:1: \"target\" is \"2\", which is none of the split's labels. "
                           "Expected one of: \"0\", \"1\"."));
}

TEST_F(ReadJsonLines, NamesTheByteThatIsNotUtf8) {
    EXPECT_THAT(refusal(lines("{\"input\": \"a\", \"target\": \"x\"}\n{\"input\": \"\xE9\"}")),
                StartsWith("x.jsonl:2: invalid UTF-8 at byte 12 of the line (0xe9)"));
    EXPECT_THAT(refusal(lines("\xFF\xFE{\0"s)), HasSubstr("looks like UTF-16"));
    EXPECT_THAT(refusal(lines("\x1F\x8B\x08"s)), HasSubstr("looks like a gzip file"));
}

TEST_F(ReadJsonLines, RefusesWhatIsNoJson) {
    for (const auto* text :
         {R"({"input": "a", "target": "x")", R"({"input": "a", "target": "x"} {})",
          R"({"input": "a", "target": NaN})", R"({"input": "a", "target": 1e400})",
          R"({"input": "\ud800", "target": "x"})", R"({'input': 'a'})",
          "{\"input\": \"a\tb\", \"target\": \"x\"}"}) {
        EXPECT_THAT(refusal(lines(text)), StartsWith("x.jsonl:1: not valid JSON at byte ")) << text;
        EXPECT_THAT(refusal(lines(text)), ::testing::Not(HasSubstr("json.exception"))) << text;
    }
}

TEST_F(ReadJsonLines, SaysThatALineMustBeAnObject) {
    EXPECT_THAT(refusal(lines("[\n{\"input\": \"a\"}\n]")),
                HasSubstr("x.jsonl:1: a JSON object is needed here"));
    EXPECT_THAT(refusal(lines("5")), HasSubstr("a JSON object is needed here"));
}

TEST_F(ReadJsonLines, RefusesDeepNestingInsteadOfCrashing) {
    const std::string deep = "{\"x\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
    EXPECT_EQ(refusal(lines(deep)), "x.jsonl:1: JSON nested more than 100 deep");
}

TEST_F(ReadJsonLines, RefusesAFileWithoutExamples) {
    EXPECT_THAT(refusal(lines("")), StartsWith("x.jsonl: holds no example; one {\"input\""));
    EXPECT_THAT(refusal(lines("\n \r\n")), StartsWith("x.jsonl: holds no example"));
}

TEST_F(ReadJsonLines, RefusesAFileThatCannotBeRead) {
    auto split = lines("");
    split.path = path("absent.jsonl");
    EXPECT_EQ(refusal(split), "absent.jsonl: cannot read the data file: No such file or directory");
    split.path = folder_.string();
    EXPECT_THAT(refusal(split), HasSubstr("is a directory"));
}

TEST_F(ReadJsonLines, RefusesOneFieldForBoth) {
    auto split = lines(R"({"input": "a"})");
    split.target_field = "input";
    EXPECT_THAT(refusal(split), HasSubstr("both called \"input\""));
}

TEST(FormatByExtension, KnowsThreeEndings) {
    EXPECT_EQ(format_by_extension("a/b.jsonl"), DataFormat::json_lines);
    EXPECT_EQ(format_by_extension("b.CSV"), DataFormat::csv);
    EXPECT_EQ(format_by_extension("a.b/c.json"), DataFormat::bbh);
    EXPECT_EQ(format_by_extension("a.csv/data"), std::nullopt);
    EXPECT_EQ(format_by_extension("b.txt"), std::nullopt);
    EXPECT_EQ(format_by_extension(""), std::nullopt);
}

}  // namespace
}  // namespace dln
