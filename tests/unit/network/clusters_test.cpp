#include "dln/network/clusters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::ElementsAre;

std::vector<std::size_t> clusters_of(const std::vector<std::vector<float>>& rows,
                                     std::size_t clusters,
                                     std::uint64_t seed) {
    const std::vector<std::span<const float>> spans(rows.begin(), rows.end());
    return cluster_rows(spans, clusters, CounterRng({.seed = seed, .role = RandomRole::clusters}));
}

TEST(Clusters, FindsGroupsWhateverTheSeedAndNumbersThemByTheirFirstRow) {
    const std::vector<std::vector<float>> rows{{5.0F, 5.1F}, {0.0F, 0.1F}, {5.1F, 5.0F},
                                               {0.1F, 0.0F}, {9.0F, 0.0F}, {9.1F, 0.1F}};
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        EXPECT_THAT(clusters_of(rows, 3, seed), ElementsAre(0, 1, 0, 1, 2, 2)) << seed;
    }
}

TEST(Clusters, LeavesSomeEmptyWhereFewerRowsAreThere) {
    EXPECT_THAT(clusters_of({{1.0F}, {1.0F}}, 3, 1), ElementsAre(0, 0));
    EXPECT_TRUE(clusters_of({}, 3, 1).empty());
}

}  // namespace
}  // namespace dln
