#include "dln/train/batch.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/train/trainer.hpp"

#include "support/small_job.hpp"

namespace dln {
namespace {

using testing::class_job;
using testing::dataset_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::size_t> numbers(std::size_t first, std::size_t count) {
    std::vector<std::size_t> indices(count);
    std::iota(indices.begin(), indices.end(), first);
    return indices;
}

std::vector<std::uint64_t> sorted(std::vector<std::uint64_t> batch) {
    std::ranges::sort(batch);
    return batch;
}

/// How often each example occurs in steps first ... first+count-1.
std::map<std::uint64_t, int> seen(const BatchSampler& sampler, std::int64_t first, int count) {
    std::map<std::uint64_t, int> times;
    for (int i = 0; i < count; ++i) {
        for (const std::uint64_t example : sampler.batch(first + i)) ++times[example];
    }
    return times;
}

TEST(BatchSampler, BatchRepeatsNoExample) {
    const BatchSampler sampler(3, 7, {numbers(0, 10), numbers(10, 4), numbers(14, 23)});
    for (std::int64_t step = 0; step < 100; ++step) {
        const auto batch = sampler.batch(step);
        EXPECT_THAT(batch, SizeIs(7));
        EXPECT_THAT(std::set(batch.begin(), batch.end()), SizeIs(7));
    }
}

TEST(BatchSampler, GroupsHaveEqualShares) {
    const BatchSampler sampler(3, 8, {numbers(0, 5), numbers(5, 50)});
    for (std::int64_t step = 0; step < 50; ++step) {
        const auto batch = sampler.batch(step);
        EXPECT_EQ(std::ranges::count_if(batch, [](auto i) { return i < 5; }), 4) << step;
    }
}

TEST(BatchSampler, WhatDoesNotDivideGoesToTheGroupsInTurn) {
    const BatchSampler sampler(3, 7, {numbers(0, 50), numbers(50, 50)});
    int of_first = 0;
    for (std::int64_t step = 0; step < 20; ++step) {
        const auto batch = sampler.batch(step);
        const auto count = std::ranges::count_if(batch, [](auto i) { return i < 50; });
        EXPECT_TRUE(count == 3 || count == 4);
        of_first += static_cast<int>(count);
    }
    EXPECT_EQ(of_first, 70);
}

TEST(BatchSampler, EveryExampleIsSeenOnceAnEpochWhenItDivides) {
    const BatchSampler sampler(3, 6, {numbers(0, 12), numbers(12, 12)});
    for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
        const auto times = seen(sampler, epoch * 4, 4);
        EXPECT_THAT(times, SizeIs(24)) << "epoch " << epoch;
    }
}

TEST(BatchSampler, OrderIsNewInEveryEpoch) {
    const BatchSampler sampler(3, 12, {numbers(0, 24)});
    EXPECT_NE(sorted(sampler.batch(0)), sorted(sampler.batch(2)));
}

TEST(BatchSampler, IsAFunctionOfSeedAndStep) {
    const BatchSampler sampler(3, 5, {numbers(0, 40)});
    const auto ninth = sampler.batch(9);
    EXPECT_EQ(BatchSampler(3, 5, {numbers(0, 40)}).batch(9), ninth);
    EXPECT_EQ(sampler.batch(9), ninth);
    EXPECT_NE(sampler.batch(10), ninth);
    EXPECT_NE(BatchSampler(4, 5, {numbers(0, 40)}).batch(9), ninth);
}

TEST(BatchSampler, BatchLargerThanTheDataIsAllOfThem) {
    const BatchSampler sampler(3, 50, {numbers(0, 4), numbers(4, 2)});
    for (std::int64_t step = 0; step < 4; ++step) {
        EXPECT_THAT(sorted(sampler.batch(step)), ElementsAre(0, 1, 2, 3, 4, 5));
    }
}

TEST(BatchSampler, BatchSmallerThanTheNumberOfGroupsIsStillFull) {
    const BatchSampler sampler(3, 2, {numbers(0, 3), numbers(3, 3), numbers(6, 3)});
    EXPECT_THAT(sampler.batch(0), SizeIs(2));
    EXPECT_THAT(seen(sampler, 0, 60), SizeIs(9));
}

TEST(BatchSampler, EmptyGroupsAreLeftOut) {
    EXPECT_THAT(sorted(BatchSampler(3, 4, {{}, numbers(0, 4), {}}).batch(0)),
                ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(BatchSampler(3, 4, {{}, {}}).batch(0), IsEmpty());
}

TEST(MakeBatches, LeavesOutTheFewShotExamples) {
    Job job = class_job();
    job.network.layers[0].few_shot = 2;
    job.train.batch_size = 6;
    const Dataset data = dataset_of({{"a", "no"}, {"b", "yes"}, {"c", "no"}, {"d", "yes"}});
    const Network network(job, data);
    const auto times = seen(make_batches(job, network, data), 0, 10);
    EXPECT_THAT(times, SizeIs(2));
    for (const std::size_t shown : network.few_shot_examples()) EXPECT_FALSE(times.contains(shown));
}

TEST(MakeBatches, BalancesTheClassesWhenTheJobAsksSo) {
    Job job = class_job();
    job.train.batch_size = 4;
    Dataset data;
    for (int i = 0; i < 40; ++i) data.add(std::to_string(i), i < 4 ? "yes" : "no");
    const Network network(job, data);
    const auto of_yes = [&] {
        int count = 0;
        const BatchSampler batches = make_batches(job, network, data);
        for (const auto& [example, times] : seen(batches, 0, 10)) count += example < 4 ? times : 0;
        return count;
    };
    EXPECT_EQ(of_yes(), 20);
    job.train.class_balanced = false;
    EXPECT_EQ(of_yes(), 4);
}

}  // namespace
}  // namespace dln
