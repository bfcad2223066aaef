// One step of a network with latents against scripted replies; every expected number is worked out here.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/train/step.hpp"

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::Bench;
using testing::chosen_prompt;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::joined;
using ::testing::Not;
using testing::prompts_of;
using testing::says;
using testing::scores;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using testing::weather;

/// Layer 1 thinks under "T", layer 2 answers under "A". What layer 2 knows: after "good" yes, after "bad" no.
Job deep_job() {
    Job job = testing::training_job(1);
    job.network.layers = {testing::layer_of("T", "L1 {{prompt}} [{{input}}]"),
                          testing::layer_of("A", "L2 {{prompt}} [{{input}}]")};
    job.train.candidates = 2;
    job.train.proposals.templates[0].text =
        "PROPOSE {{prompt}}:{{#examples}} {{input}}>{{target}}{{/examples}}";
    job.train.proposals.block = 1;
    job.train.posterior.samples = 2;
    job.train.posterior.templates = {
        {.name = "a", .text = "Q1 {{target}}", .messages = {}, .chat = false},
        {.name = "b", .text = "Q2 {{target}}", .messages = {}, .chat = false}};
    return job;
}

/// The forward pass says "dull", which layer 2 takes for no. Of the two samples of each example the first
/// leads to the target.
std::vector<std::string> replies() {
    std::vector<std::string> all{
        says("L1 T", "dull"), says("Q1 yes", "good"),   says("Q1 no", "bad"),
        says("Q2", "odd"),    says("PROPOSE T", "Say"), says("PROPOSE A", "Ask"),
    };
    const auto answers = [&](const std::string& prompt, const std::string& latent, double yes,
                             double no) {
        all.push_back(scores("L2 " + prompt + " [" + latent + "]", "\nyes", yes));
        all.push_back(scores("L2 " + prompt + " [" + latent + "]", "\nno", no));
    };
    answers("A", "dull", -2.0, -1.0);
    answers("A", "good", -1.0, -2.0);
    answers("A", "bad", -2.0, -1.0);
    answers("A", "odd", -1.0, -1.0);
    answers("Ask", "good", -1.0, -9.0);
    answers("Ask", "bad", -9.0, -1.0);
    answers("Ask", "odd", -1.0, -1.0);
    answers("Ask", "dull", -1.0, -1.0);
    for (const char* latent : {"good", "bad", "odd", "dull"}) {
        all.push_back(scores("L1 T [", std::string("\n") + latent, -3.0));
        all.push_back(scores("L1 Say [", std::string("\n") + latent,
                             std::string(latent) == "odd" ? -5.0 : -0.5));
    }
    return all;
}

class DeepStepTest : public ::testing::Test {
  protected:
    StepRecord run(const Job& job, const std::vector<std::string>& with = replies()) {
        bench_.emplace(job, std::vector<Dataset>{weather(20), {}, {}}, with);
        return run_step(bench_->context(), bench_->initial());
    }
    std::optional<Bench> bench_;
};

TEST_F(DeepStepTest, SamplesAreWeightedAndBothLayersChooseByThem) {
    const StepRecord record = run(deep_job());
    ASSERT_THAT(record.layers, SizeIs(2));
    EXPECT_EQ(chosen_prompt(record, 0), "Say");
    EXPECT_EQ(chosen_prompt(record, 1), "Ask");
    // The first sample: log p(y) = -log(1 + 1/e), the second log(1/2); equal priors cancel.
    const double first = 1.0 / (1.0 + std::exp(-1.0));
    const double weight = first / (first + 0.5);
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_NEAR(record.weights.at(i, 0), weight, 1e-9);
        EXPECT_NEAR(record.weights.at(i, 1), 1.0 - weight, 1e-9);
    }
    EXPECT_NEAR(record.layers[1].scores[0].mean(),
                weight * std::log(first) + (1.0 - weight) * std::log(0.5), 1e-8);
    EXPECT_NEAR(record.layers[1].scores[1].mean(),
                weight * -std::log1p(std::exp(-8.0)) + (1.0 - weight) * std::log(0.5), 1e-8);
    EXPECT_NEAR(record.layers[0].scores[0].mean(), -3.0, 1e-8);
    EXPECT_NEAR(record.layers[0].scores[1].mean(), weight * -0.5 + (1.0 - weight) * -5.0, 1e-8);
    EXPECT_EQ(record.failures, 0);
}

TEST_F(DeepStepTest, HiddenProposalsWantTheBestSampleAndLastOnesTheTarget) {
    run(deep_job());
    std::string hidden;
    std::string last;
    for (const std::string& text : bench_->backend().continued()) {
        if (text.starts_with("PROPOSE T")) hidden = text;
        if (text.starts_with("PROPOSE A")) last = text;
    }
    EXPECT_THAT(hidden, HasSubstr(">good"));
    EXPECT_THAT(hidden, HasSubstr(">bad"));
    EXPECT_THAT(hidden, HasSubstr(" sun "));
    EXPECT_THAT(hidden, Not(HasSubstr("odd")));
    EXPECT_THAT(last, HasSubstr(" dull>yes"));
    EXPECT_THAT(last, HasSubstr(" dull>no"));
}

TEST_F(DeepStepTest, EveryTextIsScoredOnceForACandidate) {
    Job job = deep_job();
    job.train.posterior.samples = 6;  // three times the same two
    run(job);
    std::map<std::string, int> times;
    for (const std::string& text : bench_->backend().scored()) ++times[text];
    // In layer 2 the latent alone is the input: a block of three examples has one item each of what they share.
    for (const auto& [text, count] : times) {
        if (text.starts_with("L1")) {
            EXPECT_EQ(count, 1) << text;  // with both latents
        }
    }
}

TEST_F(DeepStepTest, BatchWithoutAnErrorChangesNothing) {
    // "dull" leads to the right answer everywhere.
    const auto all_right = joined({{says("[sun", "good"), says("[rain", "bad")}, replies()});
    const StepRecord record = run(deep_job(), all_right);
    EXPECT_TRUE(record.nothing_to_learn);
    EXPECT_EQ(chosen_prompt(record, 0), "T");
    EXPECT_EQ(chosen_prompt(record, 1), "A");
    EXPECT_THAT(bench_->backend().continued(), Each(Not(HasSubstr("PROPOSE"))));
    EXPECT_THAT(bench_->backend().continued(), Each(Not(HasSubstr("Q1"))));
}

TEST_F(DeepStepTest, OnlyWrongExamplesAreSampledWhenTheJobAsksSo) {
    Job job = deep_job();
    job.train.posterior.rewrite_loss_only = true;
    const StepRecord record = run(job);
    for (std::size_t i = 0; i < 8; ++i) {
        const bool is_wrong = record.latents.is_wrong[i];
        EXPECT_EQ(record.latents.sample(i, 0)[0], is_wrong ? "good" : "dull");
        EXPECT_EQ(record.latents.sample(i, 1)[0], is_wrong ? "odd" : "dull");
    }
    EXPECT_THAT(bench_->backend().continued(), Each(Not(HasSubstr("Q1 no"))));
}

TEST_F(DeepStepTest, EmptySampleHasNoWeightAndIsCounted) {
    const StepRecord record = run(deep_job(), joined({{says("Q2", "  \n ")}, replies()}));
    EXPECT_EQ(record.empty_samples, 8);
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(record.weights.at(i, 0), 1.0);
        EXPECT_EQ(record.weights.at(i, 1), 0.0);
    }
}

TEST_F(DeepStepTest, StepWithoutAnySampleIsAnErrorThatSaysSo) {
    const auto with = joined({{says("Q1", ""), says("Q2", "")}, replies()});
    EXPECT_THAT([&] { run(deep_job(), with); },
                ThrowsMessage<BackendError>(HasSubstr("16 came back empty")));
}

TEST_F(DeepStepTest, FrozenLayerIsNotSearched) {
    Job job = deep_job();
    job.network.layers[0].train = false;
    const StepRecord record = run(job);
    ASSERT_THAT(record.layers, SizeIs(1));
    EXPECT_EQ(record.layers[0].layer, 1U);
    EXPECT_EQ(chosen_parameters(record, bench_->initial().current),
              (NetworkParameters{{"T", 0}, {"Ask", 0}}));
    EXPECT_THAT(bench_->backend().continued(), Each(Not(HasSubstr("PROPOSE T"))));
}

TEST_F(DeepStepTest, TrustFactorTakesTheDivergenceOnTheForwardPassOff) {
    Job job = deep_job();
    job.train.trust_factor = 2.0;
    const StepRecord with = run(job);
    const StepRecord without = run(deep_job());
    // On "dull" the incumbent says no with 1 / (1 + 1/e), "Ask" with one half.
    const double p = 1.0 / (1.0 + std::exp(-1.0));
    const double kl = p * std::log(p / 0.5) + (1.0 - p) * std::log((1.0 - p) / 0.5);
    EXPECT_NEAR(with.layers[1].scores[0].mean(), without.layers[1].scores[0].mean(), 1e-8);
    EXPECT_NEAR(with.layers[1].scores[1].mean(), without.layers[1].scores[1].mean() - 2.0 * kl,
                1e-8);
    EXPECT_NEAR(with.layers[0].scores[1].mean(), without.layers[0].scores[1].mean(), 1e-8);
}

TEST_F(DeepStepTest, PenaltyTakesOffWhatLedToErrors) {
    Job job = deep_job();
    job.train.logp_penalty = 0.5;
    const StepRecord with = run(job);
    const StepRecord without = run(deep_job());
    // Half of the examples are wrong, with "dull": -3 under "T", -0.5 under "Say".
    EXPECT_NEAR(with.layers[0].scores[0].mean(),
                without.layers[0].scores[0].mean() + 0.5 * 0.5 * 3.0, 1e-8);
    EXPECT_NEAR(with.layers[0].scores[1].mean(),
                without.layers[0].scores[1].mean() + 0.5 * 0.5 * 0.5, 1e-8);
}

TEST_F(DeepStepTest, HiddenStepsProposeFromTheWinnerOfTheRoundBefore) {
    Job job = deep_job();
    job.train.hidden_steps = 2;
    const StepRecord record = run(job, joined({{says("PROPOSE Say", "Tell")}, replies()}));
    EXPECT_THAT(prompts_of(record, 0), ElementsAre("T", "Say", "Tell"));
    EXPECT_THAT(prompts_of(record, 1), ElementsAre("A", "Ask"));
}

TEST_F(DeepStepTest, SpeculationSamplesBesideTheForwardPassAndChangesNothing) {
    Job job = deep_job();
    job.train.posterior.speculate = true;
    const StepRecord with = run(job);
    const StepRecord without = run(deep_job());
    EXPECT_EQ(with.weights.values, without.weights.values);
    EXPECT_EQ(with.layers[0].tables, without.layers[0].tables);
    EXPECT_EQ(with.usage.calls, without.usage.calls);
}

TEST_F(DeepStepTest, WhereOnlyAnswersCountHiddenCandidatesAreJudgedByThem) {
    Job job = deep_job();
    job.scoring.objective = Objective::accuracy;
    // "Say" makes layer 1 say what layer 2 needs.
    const StepRecord record =
        run(job, joined({{says("L1 Say [sun", "good"), says("L1 Say [rain", "bad")}, replies()}));
    EXPECT_DOUBLE_EQ(record.layers[0].scores[0].mean(), 0.5);
    EXPECT_DOUBLE_EQ(record.layers[0].scores[1].mean(), 1.0);
    EXPECT_EQ(chosen_prompt(record, 0), "Say");
}

}  // namespace
}  // namespace dln
