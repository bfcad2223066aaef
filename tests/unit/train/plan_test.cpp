#include "dln/train/plan.hpp"

#include <gtest/gtest.h>

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::scripted;
using testing::training_job;
using testing::weather;

struct Planned {
    Plan plan;
    std::size_t asked = 0;  ///< of the model
};

Planned planned(const Job& job,
                const std::vector<Dataset>& splits = {weather(16), Dataset(), Dataset()},
                const PlanOptions& options = {}) {
    const Network network(job, splits[0]);
    testing::RecordingBackend backend(scripted({}));
    Planned result{make_plan(job, network, splits, backend, backend, options)};
    result.asked = backend.scored().size() + backend.continued().size();
    return result;
}

TEST(Plan, StepWithoutProposalsScoresTheIncumbent) {
    Job job = training_job();
    job.train.steps = 3;
    job.train.candidates = 1;
    const Plan plan = planned(job).plan;
    EXPECT_DOUBLE_EQ(plan.training.expected.sum().requests, 3 * 8.0);
    EXPECT_DOUBLE_EQ(plan.training.most.sum().requests, 3 * 8.0);
    EXPECT_EQ(plan.longest_chain().length(), 3);
}

TEST(Plan, TokensAreThoseOfContextsAndTargets) {
    Job job = training_job();
    job.train.steps = 1;
    job.train.candidates = 1;
    Dataset data;
    for (int i = 0; i < 16; ++i) data.add("sun 56789ab", i % 2 == 0 ? "yes" : "no");
    // "P\nsun 56789ab" has 13 bytes, "\nno" 3, "\nyes" 4: by four bytes a token.
    const Plan plan = planned(job, {data, Dataset(), Dataset()}).plan;
    EXPECT_DOUBLE_EQ(plan.training.expected.sum().input_tokens, 8.0 * (4 + 1 + 1));
}

TEST(Plan, AsksForFewTexts) {
    Job job = training_job();
    job.train.steps = 1;
    const Planned small = planned(job);
    EXPECT_GE(small.asked, 1U);
    EXPECT_LE(small.asked, 16U);
    EXPECT_EQ(small.plan.basis.sent.requests, static_cast<std::int64_t>(small.asked));
}

TEST(Plan, ProposalsWithoutAModelCostNoRequest) {
    Job job = training_job();
    job.network.layers[0].prompts = {"Look, then think."};
    job.train.steps = 3;
    job.train.proposals.templates = {
        {.name = "edit"}, {.name = "crossover"}, {.name = "demonstrations"}};
    const Plan plan = planned(job).plan;
    EXPECT_DOUBLE_EQ(plan.training.expected.texts.requests, 0.0);
    EXPECT_DOUBLE_EQ(plan.training.most.texts.requests, 0.0);
    EXPECT_GT(plan.training.expected.scores.requests, 3 * 8.0);
    EXPECT_EQ(plan.step_chain.texts, 0);
}

TEST(Plan, AListIsOneRequest) {
    Job job = training_job(1);
    job.train.steps = 1;
    job.train.candidates = 9;
    job.train.proposals.templates[0].prompts_a_reply = 4;
    const Plan plan = planned(job).plan;
    EXPECT_DOUBLE_EQ(plan.training.expected.texts.requests, 2.0);
    EXPECT_DOUBLE_EQ(plan.training.most.texts.output_tokens,
                     2.0 * 4 * job.train.proposals.max_tokens);
}

TEST(Plan, AsksForNothingWithoutSamples) {
    const Planned none =
        planned(training_job(), {weather(16), Dataset(), Dataset()}, {.samples_texts = false});
    EXPECT_EQ(none.asked, 0U);
    EXPECT_DOUBLE_EQ(none.plan.basis.replies.tokens, training_job().train.proposals.max_tokens);
}

TEST(Plan, IsTheSameEachTime) {
    const Plan a = planned(training_job()).plan;
    const Plan b = planned(training_job()).plan;
    EXPECT_DOUBLE_EQ(a.total().expected.sum().requests, b.total().expected.sum().requests);
    EXPECT_DOUBLE_EQ(a.total().expected.sum().input_tokens, b.total().expected.sum().input_tokens);
}

TEST(Plan, JobWithoutStepsEvaluatesOnly) {
    Job job = training_job();
    job.train.steps = 0;
    const Plan plan = planned(job, {weather(16), weather(6), weather(4)}).plan;
    EXPECT_DOUBLE_EQ(plan.total().expected.sum().requests, 10.0);
}

/// Two steps of 100 requests for scores and 10 texts each.
Plan two_steps() {
    Plan plan;
    plan.steps = 2;
    plan.training.expected = {.scores = {200.0, 0.0, 0.0}, .texts = {20.0, 0.0, 0.0}};
    plan.training_chain = RequestChain{.scores = 2, .texts = 1}.times(2);
    return plan;
}

TEST(TimeOf, ChainDecidesWhereThroughputIsHigh) {
    const PlanTime time = time_of(two_steps(), {.score_seconds = 0.5,
                                                .text_seconds = 2.0,
                                                .scores_per_second = 1e6,
                                                .texts_per_second = 1e6});
    EXPECT_DOUBLE_EQ(time.chain_seconds, 2 * (2 * 0.5 + 2.0));
    EXPECT_DOUBLE_EQ(time.seconds, time.chain_seconds);
}

TEST(TimeOf, ThroughputDecidesWhereItIsLow) {
    const PlanTime time = time_of(two_steps(), {.score_seconds = 0.5,
                                                .text_seconds = 2.0,
                                                .scores_per_second = 10.0,
                                                .texts_per_second = 2.0});
    EXPECT_DOUBLE_EQ(time.seconds, 200 / 10.0 + 20 / 2.0);
}

TEST(TimeOf, LimitsOfTheJobHoldUp) {
    const PlanTime time =
        time_of(two_steps(),
                {.scores_per_second = 1e6, .texts_per_second = 1e6, .requests_per_minute = 110.0});
    EXPECT_DOUBLE_EQ(time.seconds, 120.0);
}

}  // namespace
}  // namespace dln
