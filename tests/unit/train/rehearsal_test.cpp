// Plans of networks of several layers against runs of the trainer on the same scripted model, and the critical path
// of a step.

#include <gtest/gtest.h>

#include "dln/engine/budget.hpp"
#include "dln/train/plan.hpp"
#include "dln/train/step.hpp"

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::scripted;
using testing::weather;

// Replies by hash: latents, proposals and scores are anything.
Job job_of(std::size_t layers) {
    Job job = testing::training_job(2);
    job.network.layers.clear();
    for (std::size_t l = 0; l < layers; ++l) {
        job.network.layers.push_back(testing::layer_of("P" + std::to_string(l)));
        job.network.layers.back().max_tokens = 8;
    }
    job.train.steps = 3;
    job.train.posterior.samples = 2;
    job.train.posterior.templates = {
        {.name = "q", .text = "Q {{input}} {{target}}", .messages = {}, .chat = false}};
    return job;
}

Plan plan_of(const Job& job, const std::vector<Dataset>& splits, PlanOptions options = {}) {
    const Network network(job, splits[0]);
    options.drawn_scores = 5000.0;
    const auto model = scripted({});
    return make_plan(job, network, splits, *model, *model, options);
}

/// With how many answers are right and how much prompts differ measured.
Plan measured_plan_of(const Job& job, const std::vector<Dataset>& splits) {
    testing::Bench bench(job, splits, std::vector<std::string>{});
    const TrainContext context = bench.context();
    return make_plan(job, context.network, splits, context.backward, context.backward,
                     {.engine = &context.engine, .drawn_scores = 10'000.0});
}

Plan plan_of(const Job& job) { return plan_of(job, {weather(32), Dataset(), Dataset()}); }

TEST(CriticalPath, IsAsLongAsTheStepsDependencies) {
    EXPECT_EQ(plan_of(job_of(2)).step_chain.length(), 6);
    // Each layer more is one more call forward and one more for its samples.
    EXPECT_EQ(plan_of(job_of(3)).step_chain.length(), 8);
}

TEST(CriticalPath, IsTwoCallsShorterWhereSamplesAreDrawnBesideTheForwardPass) {
    Job job = job_of(2);
    job.train.posterior.speculate = true;
    EXPECT_EQ(plan_of(job).step_chain.length(), 4);
    job.train.trust_factor = 0.5;
    EXPECT_EQ(plan_of(job).step_chain.length(), 5);
}

TEST(CriticalPath, OfARunAddsStepsAndEvaluations) {
    const Plan plan = plan_of(job_of(2), {weather(32), weather(4), weather(4)}, {});
    // Nobody knows how many steps have nothing to learn.
    EXPECT_LE(plan.training_chain.length(), 3 * 6);
    EXPECT_GE(plan.training_chain.length(), 3 * 2);
    EXPECT_EQ(plan.longest_chain().length(), plan.training_chain.length() + 4 * 2 + 2);
}

TEST(CriticalPath, HasALapForEachBlockOfARace) {
    Job job = job_of(1);
    job.train.candidates = 3;
    const std::int64_t exact = plan_of(job).step_chain.length();
    job.train.select = SelectMode::racing;
    job.train.racing_block = 2;
    EXPECT_EQ(plan_of(job).step_chain.length(), exact + 8 / 2 - 1);
}

/// What the steps of a run really ask for, on the models that its plan asked.
TrainState trained_by(const Job& job, const std::vector<Dataset>& splits) {
    testing::Bench bench(job, splits, scripted({}), job.backward_backend ? scripted({}) : nullptr);
    TrainState state = bench.initial();
    if (job.backward_backend) state.backward_usage.emplace();
    const TrainContext context = bench.context();
    for (; state.steps_done < job.train.steps; ++state.steps_done) {
        const StepRecord record = run_step(context, state);
        state.usage += record.usage;
        if (record.backward_usage) *state.backward_usage += *record.backward_usage;
        state.current = chosen_parameters(record, state.current);
    }
    return state;
}

RequestCost used_by(const Job& job, const std::vector<Dataset>& splits) {
    return cost_of(trained_by(job, splits).usage);
}

class PlanOfSteps : public ::testing::Test {
  protected:
    void expect_foretold(Job job) {
        RequestCost planned;
        RequestCost used;
        const std::vector<Dataset> splits{weather(64), Dataset(), Dataset()};
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            job.seed = seed;
            const Plan plan = measured_plan_of(job, splits);
            const RequestCost one = used_by(job, splits);
            EXPECT_LE(one.requests, plan.training.most.sum().requests) << "seed " << seed;
            planned += plan.training.expected.sum();
            used += one;
        }
        EXPECT_NEAR(planned.requests / used.requests, 1.0, 0.1);
        EXPECT_NEAR(planned.input_tokens / used.input_tokens, 1.0, 0.1);
        EXPECT_NEAR(planned.output_tokens / used.output_tokens, 1.0, 0.1);
    }
};

TEST_F(PlanOfSteps, OfTwoLayersIsWhatTheyUse) { expect_foretold(job_of(2)); }

TEST_F(PlanOfSteps, OfThreeLayersIsWhatTheyUse) { expect_foretold(job_of(3)); }

TEST_F(PlanOfSteps, WithAllTermsIsWhatTheyUse) {
    Job job = job_of(2);
    job.train.posterior.mutual_information = true;
    job.train.posterior.log_q = true;
    job.train.trust_factor = 0.5;
    job.train.logp_penalty = 0.5;
    job.train.hidden_steps = 2;
    expect_foretold(job);
}

TEST_F(PlanOfSteps, ThatCountRightAnswersIsWhatTheyUse) {
    Job job = job_of(2);
    job.classes.clear();
    job.scoring.objective = Objective::accuracy;
    expect_foretold(job);
}

TEST_F(PlanOfSteps, ThatAreCalibratedIsWhatTheyUse) {
    Job job = job_of(2);
    job.scoring.calibration = Calibration::content_free;
    job.scoring.content_free_inputs = {"N/A", "none", "so", "-"};
    expect_foretold(job);
}

TEST(PlanOfCalibratedRun, KnowsHowManyAnswersAreRight) {
    Job job = job_of(2);
    for (const Calibration calibration : {Calibration::batch, Calibration::content_free}) {
        job.scoring.calibration = calibration;
        EXPECT_EQ(measured_plan_of(job, {weather(32), Dataset(), Dataset()}).basis.answers, 32U);
    }
}

TEST(PlanOfCalibratedRun, HasMoreContentFreeInputsThanExamples) {
    Job job = job_of(2);
    job.train.batch_size = 2;
    job.scoring.calibration = Calibration::content_free;
    job.scoring.content_free_inputs.assign(40, "N/A");
    EXPECT_GT(plan_of(job, {weather(2), Dataset(), Dataset()}).training.expected.sum().requests, 0);
}

TEST_F(PlanOfSteps, WithEqualRequestsForSamplesIsWhatTheyUse) {
    Job job = job_of(2);
    job.train.posterior.temperature = 0.0;
    job.train.posterior.samples = 3;
    expect_foretold(job);
}

TEST(PlanOfFrozenLayer, AsksForNoProposalsForIt) {
    Job job = job_of(2);
    const double both = plan_of(job).training.most.texts.requests;
    job.network.layers[0].train = false;
    const double one = plan_of(job).training.most.texts.requests;
    EXPECT_DOUBLE_EQ(both - one, 3 * 2.0);
}

class PlanOfTwoModels : public ::testing::Test {
  protected:
    static Job two_models(std::size_t layers) {
        Job job = job_of(layers);
        job.backend.price_input = 2e6;
        job.backend.price_output = 3e6;
        job.backward_backend = job.backend;
        job.backward_backend->price_input = 50e6;
        job.backward_backend->price_output = 70e6;
        return job;
    }
};

// A token of the forward model costs 2 and 3, one of the backward model 50 and 70.
TEST_F(PlanOfTwoModels, CountsScoresAtTheForwardModelsPricesAndProposalsAtTheBackwardModels) {
    const PlannedWork work = plan_of(two_models(1)).training.expected;
    ASSERT_GT(work.scores.input_tokens, 0.0);
    ASSERT_GT(work.texts.output_tokens, 0.0);
    EXPECT_NEAR(work.scores.money, 2.0 * work.scores.input_tokens + 3.0 * work.scores.output_tokens,
                1e-6);
    EXPECT_NEAR(work.texts.money, 50.0 * work.texts.input_tokens + 70.0 * work.texts.output_tokens,
                1e-6);
}

TEST_F(PlanOfTwoModels, CountsLatentsAtTheForwardModelsPricesAndSamplesAtTheBackwardModels) {
    Job job = two_models(2);
    job.train.candidates = 1;  // latents and samples are all the texts that there are
    const double both = plan_of(job).training.expected.texts.money;
    job.backward_backend->price_input = job.backward_backend->price_output = 0.0;
    const double latents = plan_of(job).training.expected.texts.money;
    EXPECT_GT(latents, 0.0);
    // Each example has one latent and two samples.
    EXPECT_GT(both - latents, 20.0 * latents);
}

TEST_F(PlanOfTwoModels, IsWhatTheirRunsCost) {
    const std::vector<Dataset> splits{weather(64), Dataset(), Dataset()};
    double planned = 0.0;
    double paid = 0.0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Job job = two_models(2);
        job.train.posterior.log_q = true;
        job.seed = seed;
        planned += measured_plan_of(job, splits).training.expected.sum().money;
        const TrainState state = trained_by(job, splits);
        paid += money_of(spending_of(state.usage, *state.backward_usage, 0.0), job.backend,
                         *job.backward_backend);
    }
    EXPECT_NEAR(planned / paid, 1.0, 0.1);
}

TEST_F(PlanOfTwoModels, TellsWhatMakingItCostOfEach) {
    const Plan plan = plan_of(two_models(2));
    EXPECT_GT(plan.basis.sent.requests, 0);
    EXPECT_GT(plan.basis.sent_backward.requests, 0);
}

TEST(PlanOfDeepRun, SaysWhatItRestsOn) {
    const Plan plan = plan_of(job_of(3), {weather(32), weather(8), Dataset()}, {});
    EXPECT_TRUE(plan.basis.is_rehearsed);
    ASSERT_EQ(plan.basis.latents.size(), 2U);
    EXPECT_GT(plan.basis.latents[1].texts, 0U);
    EXPECT_GT(plan.basis.samples[0].texts, 0U);
    EXPECT_FALSE(plan.basis.prompts.empty());
    EXPECT_GT(plan.basis.sent.requests, 0);
}

TEST(PlanOfDeepRun, AsksForNothingWithoutSamples) {
    const Plan plan =
        plan_of(job_of(2), {weather(32), weather(8), Dataset()}, {.samples_texts = false});
    EXPECT_EQ(plan.basis.sent.requests, 0);
    EXPECT_DOUBLE_EQ(plan.basis.latents[0].tokens, 8.0);
    EXPECT_LE(plan.total().expected.sum().requests, plan.total().most.sum().requests);
}

TEST(PlanOfDeepRun, MostIsNoLessThanAnyRehearsalCost) {
    for (const std::size_t memory : {0U, 1U, 2U}) {
        Job job = job_of(2);
        job.train.memory = memory;
        const Plan plan = plan_of(job, {weather(32), weather(8), weather(8)}, {});
        const RequestCost most = plan.total().most.sum();
        EXPECT_LE(plan.high.requests, most.requests) << "memory " << memory;
        EXPECT_LE(plan.high.input_tokens, most.input_tokens) << "memory " << memory;
        EXPECT_LE(plan.high.output_tokens, most.output_tokens) << "memory " << memory;
    }
}

// An incumbent that stays, beside a memory that does not hold it.
TEST(PlanOfDeepRun, MostCountsTheMemoryBesideTheIncumbent) {
    Job job = job_of(2);
    job.train.steps = 1;
    const double without = plan_of(job).training.most.scores.requests;
    job.train.memory = 1;
    EXPECT_GE(plan_of(job).training.most.scores.requests,
              without * 1.3);  // a fourth candidate beside three
}

TEST(PlanOfDeepRun, IsTheSameEachTime) {
    const Plan a = plan_of(job_of(2));
    const Plan b = plan_of(job_of(2));
    EXPECT_DOUBLE_EQ(a.total().expected.sum().requests, b.total().expected.sum().requests);
    EXPECT_DOUBLE_EQ(a.total().expected.sum().input_tokens, b.total().expected.sum().input_tokens);
}

TEST(PlanOfDeepRun, LongRunsAreStretched) {
    Job job = job_of(2);
    job.train.steps = 20;
    const Plan some = plan_of(job);
    job.train.steps = 200;
    const Plan all = plan_of(job);
    const auto ratio = [](double a, double b) { return a / b; };
    EXPECT_NEAR(ratio(all.training.expected.sum().requests, some.training.expected.sum().requests),
                10.0, 0.5);
    EXPECT_NEAR(ratio(static_cast<double>(all.training_chain.length()),
                      static_cast<double>(some.training_chain.length())),
                10.0, 0.5);
}

}  // namespace
}  // namespace dln
