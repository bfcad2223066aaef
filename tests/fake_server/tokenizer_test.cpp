// Text to tokens and back: any bytes, and boundaries that matter.

#include "tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fake_llm {
namespace {

std::vector<std::string> pieces(std::string_view text, bool parse_special = false) {
    static const Tokenizer tokenizer;
    std::vector<std::string> names;
    for (const Token token : tokenizer.encode(text, parse_special)) {
        names.push_back(tokenizer.piece(token));
    }
    return names;
}

using ::testing::ElementsAre;

TEST(FakeTokenizer, GivesBackEveryByte) {
    const Tokenizer tokenizer;
    std::string bytes;
    for (int i = 0; i < 4096; ++i) {
        bytes.push_back(static_cast<char>((i * 167 + i / 256) & 0xff));
    }
    for (const std::string& text :
         {bytes, std::string("Is it so? the answer: yes\n\n"), std::string()}) {
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, true), false), text);
    }
}

TEST(FakeTokenizer, TakesTheLongestPieceWithItsLeadingSpace) {
    EXPECT_THAT(pieces("the answer"), ElementsAre("the", " answer"));
    EXPECT_THAT(pieces(" no one"), ElementsAre(" no", " one"));
}

TEST(FakeTokenizer, MergesOverTheEndOfAContext) {
    EXPECT_THAT(pieces("yes:"), ElementsAre("yes", ":"));
    EXPECT_THAT(pieces("\nyes"), ElementsAre("\n", "yes"));
    EXPECT_THAT(pieces("yes:\nyes"), ElementsAre("yes", ":\n", "yes"));
}

TEST(FakeTokenizer, ReadsControlTokensOnlyWhenAsked) {
    EXPECT_THAT(pieces("a</s>", true), ElementsAre("a", "</s>"));
    EXPECT_THAT(pieces("a</s>", false), ElementsAre("a", "<", "/", "s", ">"));
}

TEST(FakeTokenizer, UsesTheWholeVocabulary) {
    const Tokenizer tokenizer;
    for (Token token = kFirstByte; token < kVocabulary; ++token) {
        EXPECT_THAT(tokenizer.encode(tokenizer.piece(token), false), ElementsAre(token));
    }
}

}  // namespace
}  // namespace fake_llm
