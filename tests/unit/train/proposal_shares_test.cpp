#include "train/proposal_shares.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::ElementsAre;

TEST(ShareOut, CyclesEqualShares) {
    for (const double share : {1.0, 0.1, 1e-9, 7.3e5}) {
        for (const std::size_t shares : {1U, 3U, 7U, 10U}) {
            const auto order = share_out(std::vector<double>(shares, share), 1000);
            for (std::size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], i % shares) << share;
        }
    }
}

TEST(ShareOut, GivesTheLargerShareMore) {
    EXPECT_THAT(share_out({3, 1}, 8), ElementsAre(0, 0, 0, 1, 0, 0, 0, 1));
    EXPECT_THAT(share_out({1, 2, 1}, 4), ElementsAre(1, 0, 1, 2));
}

TEST(ShareOut, IsNeverAWholeProposalOff) {
    const std::vector<double> shares{0.5, 0.31, 0.07, 0.06, 0.06};
    const auto order = share_out(shares, 500);
    std::vector<double> given(shares.size(), 0.0);
    for (std::size_t i = 0; i < order.size(); ++i) {
        given[order[i]] += 1.0;
        for (std::size_t s = 0; s < shares.size(); ++s) {
            const double fair = shares[s] * static_cast<double>(i + 1);
            ASSERT_LT(std::abs(given[s] - fair), 1.0) << "share " << s << " after " << i + 1;
        }
    }
}

TEST(ShareOut, DoesNotDependOnHowManyAreToCome) {
    const auto many = share_out({2, 1, 1.5}, 50);
    const auto few = share_out({2, 1, 1.5}, 7);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

}  // namespace
}  // namespace dln
