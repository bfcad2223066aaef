#include "dln/data/dataset.hpp"

#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using namespace std::string_literals;

Dataset three_examples() {
    Dataset examples;
    examples.add("good", "positive");
    examples.add("", "none");
    examples.add("nul \0 and \xFF"s, "x");
    return examples;
}

TEST(Dataset, ReturnsWhatWasAddedInOrder) {
    const auto examples = three_examples();
    ASSERT_EQ(examples.size(), 3U);
    EXPECT_EQ(examples[0].input, "good");
    EXPECT_EQ(examples[0].target, "positive");
    EXPECT_EQ(examples[1].input, "");
    EXPECT_EQ(examples[1].target, "none");
    EXPECT_EQ(examples[2].input, "nul \0 and \xFF"s);
    EXPECT_THROW((void)examples[3], InternalError);
}

TEST(Dataset, NeverChangesItsDigest) {
    // Frozen: run directories hold digests of earlier versions.
    // printf 'DLNDATA1' and 64-bit little-endian 2, 12, 4, 12 and 'goodpositive' | sha256sum
    Dataset examples;
    examples.add("good", "positive");
    EXPECT_EQ(examples.digest(),
              "23c75ec682b0dbbccbfa711e2c4b1d13a7f975af5ef022627defea3c7c89604c");
    EXPECT_EQ(Dataset().digest(),
              "bffed3195797e6ba7d09b98d56bd06c12eb33f511ee7e0416a46109e868ba569");
}

TEST(Dataset, HasAnotherDigestWhenTextMovesBetweenInputAndTarget) {
    Dataset first;
    first.add("ab", "c");
    Dataset second;
    second.add("a", "bc");
    EXPECT_NE(first.digest(), second.digest());
}

TEST(Dataset, HasAnotherDigestInAnotherOrder) {
    Dataset first;
    first.add("a", "x");
    first.add("b", "x");
    Dataset second;
    second.add("b", "x");
    second.add("a", "x");
    EXPECT_NE(first.digest(), second.digest());
}

TEST(Dataset, SurvivesTheWayToAnotherRank) {
    const auto examples = three_examples();
    const auto copy = Dataset::deserialize(examples.serialize());
    EXPECT_EQ(copy.size(), 3U);
    EXPECT_EQ(copy[2].input, examples[2].input);
    EXPECT_EQ(copy.digest(), examples.digest());
    EXPECT_TRUE(Dataset::deserialize(Dataset().serialize()).empty());
}

TEST(Dataset, RefusesBytesThatAreNoSet) {
    const auto bytes = three_examples().serialize();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_THROW((void)Dataset::deserialize(bytes.substr(0, length)), UsageError) << length;
    }
    EXPECT_THROW((void)Dataset::deserialize(bytes + "x"), UsageError);
    EXPECT_THROW((void)Dataset::deserialize("X" + bytes.substr(1)), UsageError);
}

TEST(Dataset, RefusesOffsetsThatGoBack) {
    auto bytes = three_examples().serialize();
    ASSERT_EQ(bytes[24], 4);  // the end of the first input; the first example ends at 12
    bytes[24] = 13;
    EXPECT_THROW((void)Dataset::deserialize(bytes), UsageError);
}

TEST(Dataset, RefusesDamagedNumbersWithoutReadingOutside) {
    const auto bytes = three_examples().serialize();
    for (std::size_t at = 0; at < 24 + 6 * 8; ++at) {  // the header and the offsets
        for (const char damage : {'\x7F', '\xFF'}) {
            auto damaged = bytes;
            damaged[at] = damage;
            try {
                const auto examples = Dataset::deserialize(damaged);
                for (std::size_t i = 0; i < examples.size(); ++i) {
                    (void)examples[i];
                }
            } catch (const UsageError&) {
            }
        }
    }
}

}  // namespace
}  // namespace dln
