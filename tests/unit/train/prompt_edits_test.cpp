#include "train/prompt_edits.hpp"

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using Prompts = std::vector<std::string>;

CounterRng stream(std::uint64_t sample) { return CounterRng({.seed = 3, .sample = sample}); }

/// All that some hundred streams make.
std::set<std::string> edits(const std::string& prompt, const Prompts& others = {}) {
    std::set<std::string> made;
    for (std::uint64_t i = 0; i < 300; ++i) {
        CounterRng random = stream(i);
        made.insert(edited_prompt(prompt, others, random));
    }
    return made;
}

std::set<std::string> crosses(const std::string& one, const std::string& other) {
    std::set<std::string> made;
    for (std::uint64_t i = 0; i < 300; ++i) {
        CounterRng random = stream(i);
        made.insert(crossed_prompts(one, other, random));
    }
    return made;
}

TEST(PhrasesOf, EndBehindPunctuationAndBeforeConjunctions) {
    EXPECT_THAT(phrases_of("Read it twice, then decide: good or bad? Be brief."),
                ElementsAre("Read it twice, ", "then decide: ", "good ", "or bad? ", "Be brief."));
    EXPECT_THAT(phrases_of("And stop"), ElementsAre("And stop"));
    EXPECT_THAT(phrases_of("Rate it 2.5 of 5"), ElementsAre("Rate it 2.5 of 5"));
    EXPECT_THAT(phrases_of("\u597d\u3002\u574f\uff1f"),
                ElementsAre("\u597d\u3002", "\u574f\uff1f"));
    EXPECT_THAT(phrases_of(""), IsEmpty());
}

TEST(PhrasesOf, TogetherAreThePrompt) {
    for (const std::string prompt : {" a,  b\n\nand c ", "...", "x", "  ", "a and and b"}) {
        EXPECT_EQ(fmt::format("{}", fmt::join(phrases_of(prompt), "")), prompt);
    }
}

TEST(EditedPrompt, DeletesOneOrSwapsTwo) {
    EXPECT_THAT(
        edits("Look. Think. Say."),
        UnorderedElementsAre("Look. Think.", "Look. Say.", "Think. Say.", "Think. Look. Say.",
                             "Say. Think. Look.", "Look. Say. Think."));
}

TEST(EditedPrompt, AddsAPhraseOfAnotherPromptAnywhere) {
    EXPECT_THAT(edits("Look.", {"LOOK. Think."}),
                UnorderedElementsAre("Think. Look.", "Look. Think."));
}

TEST(EditedPrompt, ReadsLikeAPrompt) {
    // Ends as the prompt did, and begins with a capital letter.
    EXPECT_THAT(edits("Look, and think."),
                UnorderedElementsAre("Look.", "And think.", "And think. Look."));
}

TEST(EditedPrompt, KeepsLineBreaks) { EXPECT_THAT(edits("A.\n\nB. C."), Contains("A.\n\nB.")); }

TEST(EditedPrompt, IsNothingWhereNothingCanBeEdited) {
    EXPECT_THAT(edits("Look"), ElementsAre(""));
    EXPECT_THAT(edits("Look", {"look"}), ElementsAre(""));
    EXPECT_THAT(edits("", {}), ElementsAre(""));
    EXPECT_THAT(edits("", {"Look."}), ElementsAre("Look."));
}

TEST(CrossedPrompts, JoinsTheBeginningOfOneToTheEndOfTheOther) {
    EXPECT_THAT(crosses("A. B.", "C. D."),
                UnorderedElementsAre("A. D.", "A. C. D.", "A. B. D.", "A. B. C. D.",  //
                                     "C. B.", "C. A. B.", "C. D. B.", "C. D. A. B."));
}

TEST(CrossedPrompts, OfAnEmptyOneIsTheOther) {
    EXPECT_THAT(crosses("", "C. D."), ElementsAre("C. D."));
}

}  // namespace
}  // namespace dln
