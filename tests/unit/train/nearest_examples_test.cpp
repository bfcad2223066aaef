// Which examples are shown with which input, by vectors that are written down here.

#include "dln/train/nearest_examples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/small_job.hpp"

namespace dln {
namespace {

using testing::dataset_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t kBlank = DistinctTexts::kBlank;

class NearestExamplesTest : public ::testing::Test {
  protected:
    // Vectors of the unit circle: east, a little north of it, north, west. "e" comes twice.
    std::vector<Dataset> splits_{
        dataset_of({{"e", "1"}, {"ene", "2"}, {"n", "3"}, {"e", "4"}, {"w", "5"}}),
        {},
        dataset_of({{"e", ""}, {"new", ""}, {"  ", ""}})};
    std::vector<std::string> others_{"n", ""};
    Embeddings vectors_{
        .dimension = 2, .values = {1, 0, 0.8F, 0.6F, 0, 1, -1, 0, -0.6F, 0.8F}, .failures = {}};

    [[nodiscard]] NearestExamples find(std::size_t shown,
                                       bool asks_training = true,
                                       int ranks = 1) {
        const DistinctTexts texts = distinct_texts(splits_, others_);
        const NearestSearch search(texts, vectors_, shown, asks_training);
        std::vector<std::int64_t> whole = search.share(0, ranks);
        for (int rank = 1; rank < ranks; ++rank) {
            const std::vector<std::int64_t> part = search.share(rank, ranks);
            for (std::size_t i = 0; i < whole.size(); ++i) whole[i] += part[i];
        }
        return search.read(whole);
    }
};

TEST_F(NearestExamplesTest, TextsAreTakenOnceAndBlankOnesNotAtAll) {
    const DistinctTexts texts = distinct_texts(splits_, others_);
    EXPECT_THAT(texts.texts, ElementsAre("e", "ene", "n", "w", "new"));
    EXPECT_EQ(texts.training, 4U);
    EXPECT_THAT(texts.of_splits[0], ElementsAre(0, 1, 2, 0, 3));
    EXPECT_THAT(texts.of_splits[1], IsEmpty());
    EXPECT_THAT(texts.of_splits[2], ElementsAre(0, 4, kBlank));
    EXPECT_THAT(texts.of_others, ElementsAre(2, kBlank));
}

// Cosines of "e": e 1, ene 0.8, n 0, w -1. Of "new": n 0.8, w 0.6, ene 0, e -0.6.
TEST_F(NearestExamplesTest, InputsOfOtherSplitsAreShownTheNearestLast) {
    const NearestExamples nearest = find(3);
    EXPECT_THAT(nearest.splits[2][0].examples, ElementsAre(1, 3, 0));
    EXPECT_THAT(nearest.splits[2][1].examples, ElementsAre(1, 4, 2));
}

TEST_F(NearestExamplesTest, TrainingInputsAreShownNeitherThemselvesNorTheirOwnText) {
    const NearestExamples nearest = find(2);
    EXPECT_THAT(nearest.splits[0][0].examples, ElementsAre(2, 1));
    EXPECT_THAT(nearest.splits[0][3].examples, ElementsAre(2, 1));
    EXPECT_THAT(nearest.splits[0][1].examples, ElementsAre(3, 0));
}

TEST_F(NearestExamplesTest, ThereAreFewerWhereTooFewMayBeShown) {
    EXPECT_THAT(find(4).splits[0][0].examples, ElementsAre(4, 2, 1));
}

TEST_F(NearestExamplesTest, BlankInputIsEquallyNearToAll) {
    const NearestExamples nearest = find(2);
    EXPECT_THAT(nearest.splits[2][2].examples, ElementsAre(1, 0));
    EXPECT_THAT(nearest.content_free[1].examples, ElementsAre(1, 0));
}

TEST_F(NearestExamplesTest, ContentFreeInputsMayBeShownTheirOwnText) {
    EXPECT_THAT(find(2).content_free[0].examples, ElementsAre(1, 2));
}

TEST_F(NearestExamplesTest, BlankTrainingExampleIsAtARightAngleToAll) {
    splits_[0] = dataset_of({{"e", "1"}, {"ene", "2"}, {"n", "3"}, {" ", "4"}, {"w", "5"}});
    EXPECT_THAT(find(4).splits[2][0].examples, ElementsAre(3, 2, 1, 0));
    EXPECT_THAT(find(2).splits[0][3].examples, ElementsAre(1, 0));
}

TEST_F(NearestExamplesTest, WithoutAnEmbeddingAnExampleIsNotShownAndAnInputFails) {
    vectors_.failures = {{0, "too long"}};
    const NearestExamples nearest = find(2);
    EXPECT_THAT(nearest.splits[0][1].examples, ElementsAre(4, 2));
    EXPECT_THAT(nearest.splits[2][0].examples, IsEmpty());
    EXPECT_THAT(nearest.splits[2][0].failure, HasSubstr("too long"));
    EXPECT_THAT(nearest.splits[2][1].failure, IsEmpty());
}

TEST_F(NearestExamplesTest, SharesOfAnyNumberOfRanksAreTheWhole) {
    const NearestExamples alone = find(3);
    for (const int ranks : {2, 3, 4, 20}) {
        const NearestExamples together = find(3, true, ranks);
        for (const std::size_t split : {std::size_t{0}, std::size_t{2}}) {
            for (std::size_t i = 0; i < splits_[split].size(); ++i) {
                EXPECT_EQ(together.splits[split][i].examples, alone.splits[split][i].examples);
            }
        }
    }
}

TEST_F(NearestExamplesTest, TrainingSplitThatIsOnlyShownHasNoResults) {
    const NearestExamples nearest = find(2, false);
    EXPECT_THAT(nearest.splits[0], IsEmpty());
    EXPECT_THAT(nearest.splits[2][0].examples, ElementsAre(3, 0));
}

}  // namespace
}  // namespace dln
