#include "dln/text/utf8.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

using namespace std::string_view_literals;

TEST(FindInvalidUtf8, AcceptsAllLengths) {
    EXPECT_EQ(find_invalid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0"sv), std::nullopt);
    EXPECT_EQ(find_invalid_utf8("\xF4\x8F\xBF\xBF\xEF\xBF\xBF\xED\x9F\xBF"), std::nullopt);
    EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
}

TEST(FindInvalidUtf8, NamesTheFirstBadByte) {
    for (const auto bad : {"\x80"sv,              // continuation without a lead
                           "\xC0\xAF"sv,          // overlong
                           "\xC1\xBF"sv,          // overlong
                           "\xE0\x80\xAF"sv,      // overlong
                           "\xF0\x8F\xBF\xBF"sv,  // overlong
                           "\xED\xA0\x80"sv,      // surrogate
                           "\xF4\x90\x80\x80"sv,  // beyond U+10FFFF
                           "\xF5\x80\x80\x80"sv, "\xFF"sv,
                           "\xE2\x82"sv,      // cut
                           "\xE2\x82x"sv}) {  // interrupted
        EXPECT_EQ(find_invalid_utf8("ab" + std::string(bad)), 2U) << printable(bad);
    }
}

TEST(FindInvalidUtf8, NamesABadByteWhereverItStandsInALongText) {
    for (std::size_t at = 0; at < 40; ++at) {
        std::string text(40, 'a');
        EXPECT_EQ(find_invalid_utf8(text), std::nullopt);
        text[at] = '\xFF';
        EXPECT_EQ(find_invalid_utf8(text), at);
    }
}

TEST(ReplaceInvalidUtf8, ReplacesEachBadByteAndKeepsTheRest) {
    EXPECT_EQ(replace_invalid_utf8("a\xFF\xE2\x82z\xC3\xA9"),
              "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\xC3\xA9");
    EXPECT_EQ(replace_invalid_utf8("plain"), "plain");
}

TEST(Printable, WritesControlCharactersOut) {
    EXPECT_EQ(printable("a\nb\tc\rd\x1b[31m\0\x7f"sv), "a\\nb\\tc\\rd\\x1b[31m\\x00\\x7f");
    EXPECT_EQ(printable("\xC2\x85\xE2\x80\xAE\xEF\xBB\xBF"), "\\u0085\\u202e\\ufeff");
    EXPECT_EQ(printable("\xFF"), "\\xff");
}

TEST(Printable, CutsByCharacters) {
    EXPECT_EQ(printable("\xC3\xA9\xC3\xA9\xC3\xA9", 2), "\xC3\xA9\xC3\xA9...");
    EXPECT_EQ(printable("abc", 3), "abc");
    EXPECT_EQ(printable(std::string(1000, 'x')).size(), 203U);
}

TEST(Trim, RemovesAsciiWhiteSpaceAtBothEnds) {
    EXPECT_EQ(trim(" \t a b\r\n\v\f"), "a b");
    EXPECT_EQ(trim(" \n "), "");
    EXPECT_EQ(trim(""), "");
    EXPECT_EQ(trim("\xC2\xA0x"), "\xC2\xA0x");
}

TEST(NearMiss, FindsSlipsOfTheFinger) {
    const std::vector<std::string> known{"steps", "batch_size", "candidates", "memory"};
    EXPECT_EQ(near_miss("stepz", known), "steps");
    EXPECT_EQ(near_miss("setps", known), "steps");
    EXPECT_EQ(near_miss("batchSize", known), "batch_size");
    EXPECT_EQ(near_miss("batch-size", known), "batch_size");
    EXPECT_EQ(near_miss("batch", known), "batch_size");
    EXPECT_EQ(near_miss("candidate", known), "candidates");
}

TEST(NearMiss, StaysSilentWhenNothingIsNear) {
    EXPECT_EQ(near_miss("learning_rate", {"steps", "memory"}), std::nullopt);
    EXPECT_EQ(near_miss("", {"steps"}), std::nullopt);
    EXPECT_EQ(near_miss("a", {"b"}), std::nullopt);
    EXPECT_EQ(near_miss(std::string(100000, 'x'), {"steps"}), std::nullopt);
    EXPECT_EQ(near_miss("x", {}), std::nullopt);
}

}  // namespace
}  // namespace dln
