#include "dln/report/calls.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(DescribeCalls, NothingIsSaidWithoutCalls) { EXPECT_THAT(describe({}), IsEmpty()); }

TEST(DescribeCalls, FaultlessCallsTakeOneLine) {
    EXPECT_THAT(describe({.sent = 3120, .answered = 3120}),
                ElementsAre("calls in this process: 3,120 sent, 3,120 answered"));
}

TEST(DescribeCalls, OnlyWhatHappenedIsNamed) {
    EXPECT_THAT(
        describe({.sent = 3120,
                  .answered = 3002,
                  .failed = 1,
                  .tried_again = 117,
                  .failovers = 5,
                  .busy = 61,
                  .server_errors = 1,
                  .outages = 2}),
        ElementsAre("calls in this process: 3,120 sent, 3,002 answered, 1 failed",
                    "without an answer: 61 busy (429), 1 server error (5xx); 117 tried again, 5 of "
                    "them at another endpoint, 2 outages of an endpoint, as each rank saw it"));
}

TEST(BackendCounts, SurviveTheWayThroughASum) {
    BackendCounts counts;
    std::int64_t next = 1;
    std::set<std::string> names;
    for (const BackendCountField& field : backend_count_fields()) {
        counts.*field.member = next++;
        names.insert(field.name);
    }
    EXPECT_EQ(names.size(), backend_count_fields().size());
    EXPECT_EQ(backend_counts_from(to_values(counts)), counts);
    BackendCounts twice = counts;
    twice += counts;
    EXPECT_EQ(twice.bytes_received, 2 * counts.bytes_received);
}

}  // namespace
}  // namespace dln
