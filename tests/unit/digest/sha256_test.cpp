#include "dln/digest/sha256.hpp"

#include <gtest/gtest.h>

namespace dln {
namespace {

TEST(Sha256, GivesTheDigestsOfTheStandard) {
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWhole) {
    Sha256 hash;
    for (const char* piece : {"a", "", "bc"}) hash.add(piece);
    EXPECT_EQ(hash.finish(), sha256("abc"));
}

}  // namespace
}  // namespace dln
