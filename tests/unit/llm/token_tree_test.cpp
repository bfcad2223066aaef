#include "llm/embedded/token_tree.hpp"

#include <gmock/gmock.h>

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(TokenTree, PathsShareWhatTheyBeginWith) {
    TokenTree tree;
    EXPECT_THAT(tree.add_path(std::vector<Token>{7, 8, 9}), ElementsAre(0, 1, 2));
    EXPECT_THAT(tree.add_path(std::vector<Token>{7, 8, 5}), ElementsAre(0, 1, 3));
    EXPECT_THAT(tree.nodes(), SizeIs(4));
    EXPECT_EQ(tree.nodes()[3].parent, 1);
    EXPECT_EQ(tree.nodes()[3].depth, 2);
}

TEST(TokenTree, EveryLeafHasASequenceThatRunsToTheRoot) {
    TokenTree tree;
    tree.add_path(std::vector<Token>{1, 2, 3});
    tree.add_path(std::vector<Token>{1, 4});
    tree.finish();
    EXPECT_EQ(tree.sequence_count(), 2);
    EXPECT_THAT(tree.nodes()[0].sequences, ElementsAre(0, 1));
    EXPECT_THAT(tree.nodes()[2].sequences, ElementsAre(0));
    EXPECT_THAT(tree.nodes()[3].sequences, ElementsAre(1));
}

TEST(TokenTree, PathInsideAnotherNeedsNoSequenceOfItsOwn) {
    TokenTree tree;
    tree.add_path(std::vector<Token>{1, 2, 3});
    tree.add_path(std::vector<Token>{1, 2});
    tree.finish();
    EXPECT_EQ(tree.sequence_count(), 1);
}

TEST(TokenTree, EqualContextsGetSequencesOfTheirOwnWhenAskedFor) {
    TokenTree tree;
    const int first = tree.add_path(std::vector<Token>{1, 2}).back();
    const int second = tree.add_path(std::vector<Token>{1, 2}).back();
    tree.add_sequence_through(first);
    tree.add_sequence_through(second);
    tree.finish();
    EXPECT_EQ(first, second);
    EXPECT_EQ(tree.sequence_count(), 2);
    EXPECT_THAT(tree.nodes()[1].sequences, ElementsAre(0, 1));
}

TEST(CommonPrefix, EndsAtTheFirstDifference) {
    EXPECT_EQ(common_prefix(std::vector<Token>{1, 2, 3}, std::vector<Token>{1, 2, 4}), 2u);
    EXPECT_EQ(common_prefix(std::vector<Token>{1, 2}, std::vector<Token>{1, 2, 4}), 2u);
    EXPECT_EQ(common_prefix(std::vector<Token>{}, std::vector<Token>{1}), 0u);
}

}  // namespace
}  // namespace dln
