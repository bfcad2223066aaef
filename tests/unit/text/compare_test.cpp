#include "dln/text/compare.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(ExactMatch, IgnoresWhiteSpaceAtTheEnds) { EXPECT_TRUE(exact_match(" yes\n", "yes ", false)); }

TEST(ExactMatch, SeesTheFirstLineOnly) {
    EXPECT_TRUE(exact_match("\nyes \r\nbecause it is so", "yes", false));
    EXPECT_FALSE(exact_match("well\nyes", "yes", false));
}

TEST(ExactMatch, FoldsCaseWhenAsked) {
    EXPECT_FALSE(exact_match("Yes", "yes", false));
    EXPECT_TRUE(exact_match("Yes", "yES", true));
}

TEST(ExactMatch, DoesNotTakeAPrefixForTheWhole) {
    EXPECT_FALSE(exact_match("yes, surely", "yes", false));
    EXPECT_FALSE(exact_match("", "yes", false));
    EXPECT_TRUE(exact_match("", " ", false));
}

struct NumberCase {
    const char* output;
    const char* target;
    bool present;
};

class NumberPresent : public testing::TestWithParam<NumberCase> {};

TEST_P(NumberPresent, FindsWholeNumbers) {
    const auto& c = GetParam();
    EXPECT_EQ(number_present(c.output, c.target), c.present) << c.output << " | " << c.target;
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         NumberPresent,
                         testing::Values(NumberCase{"The answer is 12.", "12", true},
                                         NumberCase{"12", "1", false},
                                         NumberCase{"1.5", "1", false},
                                         NumberCase{"1.5", "5", false},
                                         NumberCase{"1.50", "1.5", true},
                                         NumberCase{"18.00 dollars", "18", true},
                                         NumberCase{"$1,234,567.", "1234567", true},
                                         NumberCase{"1234", "1,234", true},
                                         NumberCase{"1,234", "1", false},
                                         NumberCase{"1, 2, 3", "2", true},
                                         NumberCase{"1,2,3", "3", true},
                                         NumberCase{"1,234,56", "56", true},
                                         NumberCase{"007", "7", true},
                                         NumberCase{"-5", "5", false},
                                         NumberCase{"-5", "-5", true},
                                         NumberCase{"\xE2\x88\x92"
                                                    "5",
                                                    "-5", true},
                                         NumberCase{"10-5 = 5", "5", true},
                                         NumberCase{"x1", "1", false},
                                         NumberCase{"5kg", "5", true},
                                         NumberCase{"1e5", "1", false},
                                         NumberCase{"version 1.2.3", "1.2", false},
                                         NumberCase{".5", "0.5", true},
                                         NumberCase{"0", "-0", true},
                                         NumberCase{"", "1", false},
                                         NumberCase{"none", "none", false},
                                         NumberCase{"", "", false}));

TEST(StripOptions, CutsTheTrailingBlock) {
    EXPECT_EQ(strip_options("Is it?\nOptions:\n- Yes\n- No"), "Is it?");
    EXPECT_EQ(strip_options("Is it?\n\nOptions: \r\n- Yes\n- No\n\n"), "Is it?");
    EXPECT_EQ(strip_options("Options:\n- Yes"), "");
}

TEST(StripOptions, LeavesOtherTextAlone) {
    for (const char* text : {"Is it?\n", "My Options:\n- Yes", "Options: many\n- Yes",
                             "Options:\n- Yes\n\nAnd then?", ""}) {
        EXPECT_EQ(strip_options(text), text);
    }
}

TEST(StripOptions, CutsAtTheLastHeading) {
    EXPECT_EQ(strip_options("Options:\nmany\n\nOptions:\n- Yes"), "Options:\nmany");
}

}  // namespace
}  // namespace dln
