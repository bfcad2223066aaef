// Vectors of texts, and those that need no model.

#include "dln/llm/embedding.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::SizeIs;

double likeness(std::string_view a, std::string_view b) {
    return cosine(normalised(ngram_embedding(a, 1024)), normalised(ngram_embedding(b, 1024)));
}

TEST(Normalised, HasLengthOneAndTheSameDirection) {
    EXPECT_THAT(normalised(std::vector<float>{3.0F, 0.0F, -4.0F}),
                ElementsAre(FloatEq(0.6F), FloatEq(0.0F), FloatEq(-0.8F)));
}

TEST(Normalised, ZerosStayZeros) {
    EXPECT_THAT(normalised(std::vector<float>(3, 0.0F)), Each(0.0F));
}

TEST(Normalised, NumbersWhoseSquaresNoFloatHoldsAreScaledToo) {
    EXPECT_THAT(normalised(std::vector<float>{3e30F, 4e30F}),
                ElementsAre(FloatEq(0.6F), FloatEq(0.8F)));
}

TEST(Cosine, IsTheDotProductOfAnySize) {
    std::vector<float> a;
    std::vector<float> b;
    double expected = 0.0;
    for (int i = 0; i < 21; ++i) {
        a.push_back(static_cast<float>(i));
        b.push_back(static_cast<float>(2 - i));
        expected += i * (2 - i);
        EXPECT_EQ(cosine(a, b), expected) << i;
    }
}

// The pieces of " no " are " no", "no " and " no ". Places and signs are those of the XXH3_64bits that the library's
// own C program gives: hash / 2 modulo 1000, and minus where the hash is odd.
TEST(Ngrams, AddOneOrMinusOneForEachPieceWhereItsHashSays) {
    std::vector<float> expected(1000, 0.0F);
    expected[484] = -1.0F;
    expected[228] = -1.0F;
    expected[32] = 1.0F;
    EXPECT_EQ(ngram_embedding("no", 1000), expected);
    EXPECT_EQ(ngram_embedding("\n No\t", 1000), expected);
}

TEST(Ngrams, LongWordsCountAsThemselvesToo) {
    // " abcdef ": six of 3 bytes, five of 4, four of 5, and the word.
    double sum = 0.0;
    for (const float value : ngram_embedding("abcdef", 65'536)) sum += std::abs(value);
    EXPECT_EQ(sum, 6 + 5 + 4 + 1);
}

TEST(Ngrams, OrderOfWordsDoesNotMatter) {
    EXPECT_EQ(ngram_embedding("good film", 64), ngram_embedding("film  good", 64));
}

TEST(Ngrams, WordsOfOneStemAreNearerThanOthers) {
    EXPECT_GT(likeness("delightful", "delighted"), 0.4);
    EXPECT_LT(likeness("delightful", "gruesome"), 0.2);
    EXPECT_NEAR(likeness("a gruesome film", "a gruesome film"), 1.0, 1e-6);
}

TEST(Ngrams, TextWithoutWordsHasZeros) {
    EXPECT_THAT(ngram_embedding("", 8), Each(0.0F));
    EXPECT_THAT(ngram_embedding(" \n", 8), Each(0.0F));
}

TEST(Ngrams, AnyBytesAreText) {
    EXPECT_THAT(ngram_embedding(std::string_view("\xff\0\xc3", 3), 16), SizeIs(16));
}

TEST(NgramBackend, EmbedsTextsAndRefusesTheRest) {
    const auto backend = make_ngram_backend(32);
    const auto reply =
        std::get<EmbedReply>(run_request(*backend, EmbedRequest{.texts = {"one", "two"}}).reply);
    ASSERT_THAT(reply.embeddings, SizeIs(2));
    EXPECT_EQ(reply.embeddings[1].values, ngram_embedding("two", 32));
    const auto scores = std::get<ScoreReply>(
        run_request(*backend, ScoreRequest{{{{.text = "a"}, {"b", "c"}}}}).reply);
    ASSERT_THAT(scores.scores.at(0), SizeIs(2));
    EXPECT_FALSE(scores.scores[0][1].ok());
    EXPECT_FALSE(std::get<GenerateReply>(
                     run_request(*backend, GenerateRequest{.items = {{{.text = "a"}, 0}}}).reply)
                     .texts.at(0)
                     .ok());
}

TEST(NgramBackend, SaysItsLengthInItsIdentity) {
    EXPECT_EQ(make_ngram_backend(32)->info().model, "ngrams-3-5:32");
}

}  // namespace
}  // namespace dln
