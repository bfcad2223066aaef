#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ReadCsv : public DataFolder {
  protected:
    [[nodiscard]] SplitSpec csv(std::string_view content) const { return spec("x.csv", content); }
    [[nodiscard]] Pairs read(std::string_view content) const {
        return pairs_of(read_split(csv(content)));
    }
};

TEST_F(ReadCsv, FindsColumnsByTheHeader) {
    EXPECT_EQ(read("id,target,input\n1,x,a b\n2,y,c\n"), (Pairs{{"a b", "x"}, {"c", "y"}}));
}

TEST_F(ReadCsv, UnderstandsQuotesCommasAndDoubledQuotes) {
    EXPECT_EQ(read("\"input\",target\n\"a, \"\"b\"\"\",\"x\"\n\"\"\"\",y\n"),
              (Pairs{{"a, \"b\"", "x"}, {"\"", "y"}}));
}

TEST_F(ReadCsv, KeepsLineBreaksInQuotedFields) {
    EXPECT_EQ(read("input,target\r\n\"two\r\nlines\n\n\",x\r\nb,y"),
              (Pairs{{"two\r\nlines\n\n", "x"}, {"b", "y"}}));
}

TEST_F(ReadCsv, AcceptsByteOrderMarkAndBlankLines) {
    EXPECT_EQ(read("\xEF\xBB\xBFinput,target\n\na,x\n\r\n"), (Pairs{{"a", "x"}}));
}

TEST_F(ReadCsv, KeepsEmptyFieldsAndSpaces) {
    EXPECT_EQ(read("input,target,note\n, x ,\n\"\",y,\r\n"), (Pairs{{"", " x "}, {"", "y"}}));
}

TEST_F(ReadCsv, StopsAtTheLimit) {
    auto split = csv("input,target\na,x\nb\n");
    split.limit = 1;
    EXPECT_EQ(read_split(split).size(), 1U);
}

TEST_F(ReadCsv, CountsLinesInsideQuotedFields) {
    EXPECT_THAT(refusal(csv("input,target\n\"a\nb\",x\nc\n")),
                StartsWith("x.csv:4: the row has 1 field, the header 2;"));
}

TEST_F(ReadCsv, NamesTheMissingColumn) {
    EXPECT_THAT(
        refusal(csv("Input,target\na,x\n")),
        AllOf(HasSubstr("--input-field"),
              StartsWith("x.csv:1: no field \"input\" for the input: found \"Input\", \"target\". "
                         "Did you mean \"Input\"?")));
}

TEST_F(ReadCsv, NamesTheCommaWhenFieldsAreSeparatedOtherwise) {
    for (const char* header : {"input;target\n", "input\ttarget\n"}) {
        EXPECT_THAT(refusal(csv(header)), HasSubstr("must be separated by commas"));
    }
}

TEST_F(ReadCsv, RefusesADoubledColumn) {
    EXPECT_THAT(refusal(csv("input,target,input\na,x,b\n")),
                HasSubstr("x.csv:1: field \"input\" occurs 2 times"));
}

TEST_F(ReadCsv, NamesTheLineWhereAnUnclosedQuoteOpens) {
    EXPECT_EQ(refusal(csv("input,target\na,x\n\"b,y\nc,z\n")),
              "x.csv:3: the quote that opens a field here is never closed");
}

TEST_F(ReadCsv, RefusesStrayQuotes) {
    EXPECT_THAT(refusal(csv("input,target\na 5\" pipe,x\n")),
                StartsWith("x.csv:2: a quote in the middle of a field, at byte 4 of the line"));
    EXPECT_THAT(refusal(csv("input,target\n\"a\" b,x\n")),
                StartsWith("x.csv:2: text after a closing quote, at byte 4 of the line"));
}

TEST_F(ReadCsv, RefusesATargetThatIsNoClassAndInvalidUtf8) {
    EXPECT_THAT(refusal(csv("input,target\na,z\n"), {"x", "y"}),
                StartsWith("x.csv:2: target \"z\" is none of the classes"));
    EXPECT_THAT(refusal(csv("input,target\n\"\n\xFF\",x\n")),
                StartsWith("x.csv:3: invalid UTF-8 at byte 1"));
}

TEST_F(ReadCsv, RefusesAFileWithoutRows) {
    EXPECT_THAT(refusal(csv("")), StartsWith("x.csv: holds no example; a header line"));
    EXPECT_THAT(refusal(csv("input,target\n")), StartsWith("x.csv: holds no example"));
}

}  // namespace
}  // namespace dln
