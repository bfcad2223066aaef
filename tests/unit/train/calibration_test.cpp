// Steps and evaluations of jobs that calibrate, against scripted replies; every expected number is worked out here.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/train/step.hpp"

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::Bench;
using testing::chosen_prompt;
using ::testing::Contains;
using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::joined;
using testing::knows;
using ::testing::Not;
using testing::says;
using testing::scores;
using ::testing::SizeIs;
using testing::training_job;
using testing::weather;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// "Biased" tells sun from rain better than "Fair", but prefers yes.
const double kBiasedSun = sigmoid(3.9);   // p(yes) after sun
const double kBiasedRain = sigmoid(0.5);  // p(yes) after rain: wrong
const double kFair = sigmoid(0.6);        // p(right)

std::vector<std::string> biased_and_fair() {
    return joined({{says("PROPOSE m0", "Biased"), says("PROPOSE m1", "Fair"),
                    scores("Biased\nsun", "\nyes", -0.1), scores("Biased\nsun", "\nno", -4.0),
                    scores("Biased\nrain", "\nyes", -0.5), scores("Biased\nrain", "\nno", -1.0),
                    scores("Biased\nN/A", "\nyes", -0.5), scores("Biased\nN/A", "\nno", -2.0),
                    scores("P\nN/A", "\nyes", -1.0), scores("P\nN/A", "\nno", -1.0),
                    scores("Fair\nN/A", "\nyes", -1.0), scores("Fair\nN/A", "\nno", -1.0)},
                   knows("Fair", -0.4, -1.0),
                   knows("P", -1.0, -1.0)});
}

/// Mean log p(right) of "Biased" after a prior of `yes` was taken off.
double biased_score(double yes) {
    const auto right = [](double p, double prior) {
        return p / prior / (p / prior + (1.0 - p) / (1.0 - prior));
    };
    return (std::log(right(kBiasedSun, yes)) + std::log(right(1.0 - kBiasedRain, 1.0 - yes))) / 2;
}

class CalibratedStep : public ::testing::Test {
  protected:
    explicit CalibratedStep() { job_.scoring.content_free_inputs = {"N/A"}; }
    StepRecord run(Calibration calibration) {
        job_.scoring.calibration = calibration;
        bench_.emplace(job_, std::vector<Dataset>{weather(20), {}, {}}, replies_, options_);
        TrainState state = bench_->initial();
        state.current[0].prompt = incumbent_;
        return run_step(bench_->context(), state);
    }
    static const CandidateScore& score_of(const StepRecord& record, const std::string& prompt) {
        const std::vector<std::string> prompts = testing::prompts_of(record);
        const auto place = std::ranges::find(prompts, prompt) - prompts.begin();
        return record.layers[0].scores.at(static_cast<std::size_t>(place));
    }
    Job job_ = training_job(2);
    std::string incumbent_ = "P";
    std::vector<std::string> replies_ = biased_and_fair();
    ScriptedOptions options_;
    std::optional<Bench> bench_;
};

TEST_F(CalibratedStep, BiasDecidesWithoutCalibration) {
    const StepRecord record = run(Calibration::none);
    EXPECT_EQ(chosen_prompt(record), "Fair");
    EXPECT_THAT(record.layers[0].class_log_priors, IsEmpty());
    EXPECT_THAT(bench_->backend().scored(), Not(Contains(HasSubstr("N/A"))));
}

TEST_F(CalibratedStep, PriorOfTheBatchIsTakenOff) {
    const StepRecord record = run(Calibration::batch);
    EXPECT_EQ(chosen_prompt(record), "Biased");
    const double prior = (kBiasedSun + kBiasedRain) / 2;
    EXPECT_NEAR(score_of(record, "Biased").mean(), biased_score(prior), 1e-8);
    EXPECT_NEAR(score_of(record, "Fair").mean(), std::log(kFair), 1e-8);
    EXPECT_THAT(bench_->backend().scored(), Not(Contains(HasSubstr("N/A"))));
}

TEST_F(CalibratedStep, PriorOfContentFreeInputsIsTakenOff) {
    const StepRecord record = run(Calibration::content_free);
    EXPECT_EQ(chosen_prompt(record), "Biased");
    EXPECT_NEAR(score_of(record, "Biased").mean(), biased_score(sigmoid(1.5)), 1e-8);
    EXPECT_NEAR(score_of(record, "Fair").mean(), std::log(kFair), 1e-8);
    for (const char* context : {"P\nN/A", "Biased\nN/A", "Fair\nN/A"}) {
        EXPECT_THAT(bench_->backend().scored(), Contains(context).Times(1));
    }
    EXPECT_EQ(record.usage.calls, 3 * (8 + 1) + 2);
}

TEST_F(CalibratedStep, RecordHasWhatTheChoiceFollowsFrom) {
    const StepRecord record = run(Calibration::batch);
    const LayerRecord& layer = record.layers[0];
    ASSERT_THAT(layer.class_log_priors, SizeIs(3));
    for (std::size_t k = 0; k < 3; ++k) {
        ASSERT_THAT(layer.class_log_probs[k], SizeIs(8));
        EXPECT_EQ(layer.class_log_priors[k], class_log_prior(layer.class_log_probs[k]));
    }
}

TEST_F(CalibratedStep, ForwardPassAnswersAsTheNetworkWouldPredict) {
    incumbent_ = "Biased";
    const auto right = [](const StepRecord& record) {
        return std::ranges::count_if(record.forward, &ExampleOutcome::right);
    };
    EXPECT_EQ(right(run(Calibration::none)), 4);
    for (const Calibration calibration : {Calibration::batch, Calibration::content_free}) {
        const StepRecord record = run(calibration);
        EXPECT_EQ(right(record), 8);
        EXPECT_EQ(record.forward_class_log_prior, record.layers[0].class_log_priors[0]);
    }
}

TEST_F(CalibratedStep, HeldOutHalfHasAPriorOfItsOwn) {
    job_.train.held_out_ranking = true;
    job_.train.batch_size = 6;  // three of them rank: not the share of classes of all
    const StepRecord record = run(Calibration::batch);
    std::vector<ClassLogProbs> ranked;
    const LayerRecord& layer = record.layers[0];
    for (const std::size_t i : record.ranked_on) ranked.push_back(layer.class_log_probs[1][i]);
    ASSERT_THAT(ranked, SizeIs(3));
    EXPECT_EQ(layer.class_log_priors[1], class_log_prior(ranked));
}

TEST_F(CalibratedStep, RaceIsDecidedByWhatIsMeasuredSoFar) {
    job_.train.select = SelectMode::racing;
    job_.train.racing_block = 2;
    job_.train.racing_risk = 0.05;
    EXPECT_EQ(chosen_prompt(run(Calibration::batch)), "Biased");
    EXPECT_EQ(chosen_prompt(run(Calibration::content_free)), "Biased");
}

TEST_F(CalibratedStep, TrustFactorComparesCalibratedDistributions) {
    // Of a prompt that only differs in its bias, nothing is taken off.
    replies_ = joined({{says("PROPOSE m0", "Tilted"), says("PROPOSE m1", "Tilted"),
                        scores("Tilted\nsun", "\nyes", -0.5), scores("Tilted\nsun", "\nno", -3.1),
                        scores("Tilted\nrain", "\nyes", -0.5), scores("Tilted\nrain", "\nno", -1.9),
                        scores("Tilted\nN/A", "\nyes", -0.5), scores("Tilted\nN/A", "\nno", -2.5),
                        scores("P\nN/A", "\nyes", -1.0), scores("P\nN/A", "\nno", -1.0)},
                       knows("P", -0.4, -1.0)});
    job_.train.trust_factor = 1.0;
    const StepRecord record = run(Calibration::content_free);
    ASSERT_THAT(record.layers[0].divergence, SizeIs(2));
    for (const auto& amount : record.layers[0].divergence[1]) EXPECT_NEAR(*amount, 0.0, 1e-9);
    const StepRecord as_it_is = run(Calibration::none);
    for (const auto& amount : as_it_is.layers[0].divergence[1]) EXPECT_GT(*amount, 0.1);
}

TEST_F(CalibratedStep, CandidateWithoutAPriorHasNoScore) {
    // The only content-free input does not fit into the context.
    job_.scoring.content_free_inputs = {std::string(4000, 'x')};
    options_.context_tokens = 200;
    const StepRecord record = run(Calibration::content_free);
    for (const CandidateScore& score : record.layers[0].scores) EXPECT_EQ(score.scored, 0U);
    EXPECT_GE(record.failures, 3);
    EXPECT_THAT(record.forward, Each(::testing::Field(&ExampleOutcome::measured, false)));
}

TEST_F(CalibratedStep, FailedContentFreeInputIsLeftOut) {
    job_.scoring.content_free_inputs = {"N/A", std::string(4000, 'x')};
    options_.context_tokens = 200;
    const StepRecord record = run(Calibration::content_free);
    EXPECT_NEAR(score_of(record, "Biased").mean(), biased_score(sigmoid(1.5)), 1e-8);
    EXPECT_EQ(record.failures, 3);
}

TEST(CalibratedEvaluation, IsOnTheWholeSplitAndCountsItsRequests) {
    for (const Calibration calibration : {Calibration::batch, Calibration::content_free}) {
        Job job = training_job(2);
        job.scoring.calibration = calibration;
        job.scoring.content_free_inputs = {"N/A"};
        Bench bench(job, {weather(20), weather(6), {}}, biased_and_fair());
        const TrainContext context = bench.context();
        const Evaluation evaluation =
            evaluate_split(context.engine, context.network, context.splits, kDevSplit,
                           {{{"Biased", 0}}}, 0)
                .front();
        const bool is_batch = calibration == Calibration::batch;
        const double prior = is_batch ? (kBiasedSun + kBiasedRain) / 2 : sigmoid(1.5);
        EXPECT_EQ(evaluation.right, 6U);
        EXPECT_NEAR(evaluation.log_likelihood(), biased_score(prior), 1e-8);
        EXPECT_THAT(evaluation.class_log_prior, ElementsAre(DoubleNear(std::log(1.0 - prior), 1e-8),
                                                            DoubleNear(std::log(prior), 1e-8)));
        EXPECT_EQ(evaluation.usage.calls, is_batch ? 6 : 7);
    }
}

}  // namespace
}  // namespace dln
