// Which of the returned tokens are the text that was sent, told by their texts alone.

#include <vector>

#include <gtest/gtest.h>

#include "llm/http/alignment.hpp"

namespace dln::http {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kPart = "\xEF\xBF\xBD";  // U+FFFD

std::optional<Alignment> first(const Texts& tokens, std::string_view text, std::size_t begin = 0) {
    return align(tokens, {.text = text, .begin_bytes = begin});
}
std::optional<Alignment> all(const Texts& tokens, std::string_view text, std::size_t begin = 0) {
    return align_all(tokens, {.text = text, .begin_bytes = begin});
}
Alignment found(std::size_t skipped, std::size_t count, bool has_begin = false) {
    return {.first = skipped, .count = count, .has_begin = has_begin};
}

TEST(Alignment, TakesTheTokensThatGiveTheText) {
    EXPECT_EQ(first({"Is", " it", "?"}, "Is it?"), found(0, 3));
    EXPECT_EQ(first({"Is", " it", "?", " No"}, "Is it?"), found(0, 3));
    EXPECT_EQ(first({"Is", " it", "?", ""}, "Is it?"), found(0, 3));
}

TEST(Alignment, RefusesOtherTexts) {
    EXPECT_EQ(first({"Is", " it"}, "Is it?"), std::nullopt);  // cut at the end
    EXPECT_EQ(first({" it", "?"}, "Is it?"), std::nullopt);   // cut in front
    EXPECT_EQ(first({"Is", " It", "?"}, "Is it?"), std::nullopt);
    EXPECT_EQ(first({"Is", " it? No"}, "Is it?"), std::nullopt);  // no boundary at the end
    EXPECT_EQ(first({"a", "Is", " it", "?", "x"}, "s it?"), std::nullopt);
    EXPECT_EQ(first({}, "Is it?"), std::nullopt);
}

TEST(Alignment, PassesOverABeginTokenThatTheServerAdded) {
    EXPECT_EQ(first({"<s>", "Is", " it", "?", " No"}, "Is it?"), found(1, 3));
    EXPECT_EQ(first({"<s>", "<s>", "Is", " it", "?"}, "Is it?"), std::nullopt);
}

TEST(Alignment, BeginTextMayBeDroppedOrNot) {
    EXPECT_EQ(first({"<s>", "Is", "?"}, "<s>Is?", 3), found(0, 3, true));
    EXPECT_EQ(first({"Is", "?"}, "<s>Is?", 3), found(0, 2, false));
    // The server added another one.
    EXPECT_EQ(first({"<s>", "<s>", "Is", "?"}, "<s>Is?", 3), std::nullopt);
}

TEST(Alignment, TakesADummySpaceInFront) {
    EXPECT_EQ(first({" Is", " it"}, "Is it"), found(0, 2));
    EXPECT_EQ(first({"<s>", " Is", " it"}, "Is it"), found(1, 2));
    EXPECT_EQ(first({" ", "Is", " it"}, "Is it"), found(0, 3));
}

TEST(Alignment, ReadsSpelledBytes) {
    EXPECT_EQ(first({"a", "<0xC3>", "<0xA9>", "b"},
                    "a\xC3\xA9"
                    "b"),
              found(0, 4));
    EXPECT_EQ(first({"a", "bytes:\\xc3", "bytes:\\xa9", "b"},
                    "a\xC3\xA9"
                    "b"),
              found(0, 4));
    EXPECT_EQ(first({"a", "<0xC3>"}, "a<0xC3>"), found(0, 2));
    EXPECT_EQ(first({"a", "<0x41>", "c"}, "abc"), std::nullopt);
}

TEST(Alignment, PartsOfCharactersStandForBytesThatAreNotAscii) {
    EXPECT_EQ(first({"a", kPart, kPart, "b"},
                    "a\xC3\xA9"
                    "b"),
              found(0, 4));
    EXPECT_EQ(first({"a", "", "", "b"},
                    "a\xC3\xA9"
                    "b"),
              found(0, 4));
    EXPECT_EQ(first({"a", "", "\xC3\xA9", "b"},
                    "a\xC3\xA9"
                    "b"),
              found(0, 4));
    EXPECT_EQ(first({std::string("a ") + kPart, kPart, "b"},
                    "a \xC3\xA9"
                    "b"),
              found(0, 3));
    EXPECT_EQ(first({"a", kPart, "c"}, "abc"), std::nullopt);
    EXPECT_EQ(first({"a", kPart, "b"}, "ab"), std::nullopt);
    EXPECT_EQ(first({"a", kPart, "b"}, std::string("a") + kPart + "b"), found(0, 3));
}

TEST(Alignment, TextThatEndsInAPartNeedsTheNumberOfTokens) {
    const Texts tokens{"a", kPart, kPart, " No"};
    EXPECT_EQ(first(tokens, "a\xC3\xA9"), std::nullopt);
    EXPECT_EQ(all({"a", kPart, kPart}, "a\xC3\xA9"), found(0, 3));
    EXPECT_EQ(all({"a", kPart, kPart}, "a\xC3\xA9x"), std::nullopt);
    EXPECT_EQ(all({"a", kPart, kPart, kPart}, "a\xC3\xA9"), std::nullopt);
}

TEST(Alignment, OfAllTokensLeavesNoneOver) {
    EXPECT_EQ(all({"Is", "?"}, "Is?"), found(0, 2));
    EXPECT_EQ(all({"Is", "?", " No"}, "Is?"), std::nullopt);
    EXPECT_EQ(all({"Is", "?", ""}, "Is?"), std::nullopt);
}

TEST(Alignment, LongTextsAreLinear) {
    Texts tokens;
    std::string text;
    for (int i = 0; i < 250'000; ++i) {
        tokens.push_back(i % 5 == 0 ? std::string() : "word");
        text += i % 5 == 0 ? "\xC3\xA9" : "word";
    }
    EXPECT_EQ(all(tokens, text), found(0, tokens.size()));
}

TEST(Alignment, TokensThatCouldStandAnywhereAreNotSearchedForLong) {
    // Without a bound this takes minutes: two million places, each of them wrong after two megabytes.
    const auto repeated = [](std::size_t times) {
        std::string text;
        for (std::size_t i = 0; i < times; ++i) text += "\xC3\xB0";
        return text;
    };
    Texts tokens(1 << 19, "");
    tokens.push_back(repeated(1 << 20) + "x");
    EXPECT_EQ(first(tokens, repeated(1 << 21)), std::nullopt);
}

}  // namespace
}  // namespace dln::http
