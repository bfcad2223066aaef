// Steps with a backward model that has a backend of its own: what it is asked for, and what it alone knows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/train/trainer.hpp"

#include "train/step_outcome.hpp"
#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using testing::Bench;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::says;
using testing::scores;
using testing::scripted;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;
using testing::weather;

/// Two layers, two samples an example with log q; the forward model takes every example for no.
Job deep_job() {
    Job job = testing::training_job(1);
    job.backward_backend = BackendSpec{.kind = BackendKind::scripted};
    job.network.layers = {testing::layer_of("T", "L1 {{prompt}} [{{input}}]"),
                          testing::layer_of("A", "L2 {{prompt}} [{{input}}]")};
    job.train.posterior.samples = 2;
    job.train.posterior.log_q = true;
    job.train.posterior.templates = {
        {.name = "a", .text = "SAMPLE {{input}} {{target}}", .messages = {}, .chat = false}};
    return job;
}

std::unique_ptr<Backend> forward_model() {
    return scripted({says("L1", "dull"), scores("L2", "\nno", -0.1), scores("L2", "\nyes", -3.0)});
}

std::unique_ptr<Backend> backward_model(const ScriptedOptions& options = {}) {
    return scripted({says("SAMPLE", "lively"), says("PROPOSE", "Be brief."),
                     scores("SAMPLE", "\nlively", -0.75)},
                    options);
}

TEST(TwoModelStep, EachModelIsAskedForItsPartOnly) {
    Bench bench(deep_job(), {weather(20), {}, {}}, forward_model(), backward_model());
    const StepRecord record = run_step(bench.context(), bench.initial());
    EXPECT_EQ(record.failures, 0);
    EXPECT_THAT(bench.backend().continued(), AllOf(SizeIs(8), Each(StartsWith("L1"))));
    EXPECT_THAT(bench.backend().scored(), Each(StartsWith("L")));
    EXPECT_THAT(bench.backward().continued(), SizeIs(2 + 16));
    EXPECT_THAT(bench.backward().continued(), Each(Not(StartsWith("L"))));
    EXPECT_THAT(bench.backward().scored(), AllOf(SizeIs(16), Each(StartsWith("SAMPLE"))));
    ASSERT_THAT(record.terms.log_q, SizeIs(1));
    EXPECT_EQ(record.terms.log_q[0].at(0, 0), -0.75);
    for (const LayerRecord& layer : record.layers) {
        EXPECT_EQ(layer.proposals.at(0).prompt, "Be brief.");
    }
}

TEST(TwoModelStep, UsageOfTheBackwardModelIsItsPartOfAll) {
    Bench bench(deep_job(), {weather(20), {}, {}}, forward_model(), backward_model());
    StepRecord record = run_step(bench.context(), bench.initial());
    ASSERT_TRUE(record.backward_usage.has_value());
    EXPECT_EQ(record.backward_usage->calls, 2 + 16 + 16);
    EXPECT_GT(record.usage.calls, record.backward_usage->calls);
    TrainState state = bench.initial();
    take_step(bench.context(), record, state);
    EXPECT_EQ(state.backward_usage, record.backward_usage);
    StepDocument document;
    write_step(record, document);
    EXPECT_EQ(document.integer("step/backward/calls"), 34);
}

TEST(TwoModelStep, OneBackendForBothTellsNoPart) {
    Job job = deep_job();
    job.backward_backend.reset();
    Bench bench(job, {weather(20), {}, {}}, backward_model());
    EXPECT_FALSE(run_step(bench.context(), bench.initial()).backward_usage.has_value());
}

TEST(TwoModelStep, RoomForProposalsIsThatOfTheBackwardModel) {
    Job job = deep_job();
    job.train.proposals.max_tokens = 78;  // samples have 64
    Bench roomy(job, {weather(20), {}, {}}, forward_model(), backward_model());
    EXPECT_EQ(run_step(roomy.context(), roomy.initial()).proposals_too_long, 0U);
    Bench bench(job, {weather(20), {}, {}}, forward_model(),
                backward_model({.context_tokens = 80}));
    const StepRecord record = run_step(bench.context(), bench.initial());
    EXPECT_EQ(record.proposals_too_long, 2U);
    EXPECT_THAT([&] { check_usable(bench.context(), record); },
                ThrowsMessage<UsageError>(
                    AllOf(HasSubstr("/backward_backend/context_tokens"), HasSubstr("80 tokens"))));
}

TEST(ScoresSamples, OnlyWhereLogQDecidesSomething) {
    Job job = deep_job();
    EXPECT_TRUE(scores_samples(job));
    job.train.posterior.weight_temperature = 100.0;
    EXPECT_FALSE(scores_samples(job)) << "equal weights";
    job = deep_job();
    job.train.posterior.samples = 1;
    EXPECT_FALSE(scores_samples(job)) << "one sample";
    job = deep_job();
    job.train.posterior.log_q = false;
    EXPECT_FALSE(scores_samples(job));
    job = deep_job();
    job.network.layers.pop_back();
    EXPECT_FALSE(scores_samples(job)) << "no latents";
}

}  // namespace
}  // namespace dln
