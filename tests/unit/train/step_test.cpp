// One step against a scripted backend that knows which prompts are good.

#include "dln/train/step.hpp"

#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"

#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using testing::Bench;
using testing::chosen_prompt;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::joined;
using testing::knows;
using ::testing::Not;
using testing::prompts_of;
using testing::says;
using testing::scores;
using ::testing::SizeIs;
using testing::training_job;
using ::testing::UnorderedElementsAre;
using testing::weather;

/// Three proposals: Good, Poor and Good once more.
std::vector<std::string> good_and_poor() {
    return joined({{says("PROPOSE m0", "Good"), says("PROPOSE m1", "Poor"),
                    says("PROPOSE m2", "Instruction: \"Good\"")},
                   knows("Good", -0.1, -3.0),
                   knows("Poor", -3.0, -0.1),
                   knows("P", -1.0, -1.0)});
}

class StepTest : public ::testing::Test {
  protected:
    StepRecord run(const Job& job,
                   const std::vector<std::string>& replies,
                   const ScriptedOptions& options = {}) {
        bench_.emplace(job, std::vector<Dataset>{train_, {}, {}}, replies, options);
        TrainState state = bench_->initial();
        state.memory = memory_;
        state.noise_floor = noise_floor_;
        state.tried_in_templates = tried_in_templates_;
        return run_step(bench_->context(), state);
    }
    Dataset train_ = weather(20);
    std::vector<Evaluated> memory_;
    double noise_floor_ = 0.0;
    std::vector<std::string> tried_in_templates_;
    std::optional<Bench> bench_;
};

TEST_F(StepTest, CandidateThatTheRepliesFavourWins) {
    const StepRecord record = run(training_job(), good_and_poor());
    EXPECT_EQ(chosen_prompt(record), "Good");
    EXPECT_THAT(record.batch, SizeIs(8));
    EXPECT_THAT(record.ranked_on, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    // log(e^-0.1 / (e^-0.1 + e^-3)), and one half for who knows nothing
    EXPECT_NEAR(record.layers[0].scores[0].mean(), std::log(0.5), 1e-8);
    EXPECT_NEAR(record.layers[0].scores[1].mean(), -std::log1p(std::exp(-2.9)), 1e-8);
    EXPECT_NEAR(record.layers[0].scores[2].mean(), -2.9 - std::log1p(std::exp(-2.9)), 1e-8);
    EXPECT_EQ(record.failures, 0);
}

TEST_F(StepTest, DuplicatesAreScoredOnce) {
    const StepRecord record = run(training_job(), good_and_poor());
    EXPECT_THAT(prompts_of(record), ElementsAre("P", "Good", "Poor"));
    EXPECT_THAT(record.layers[0].proposals, SizeIs(3));
    EXPECT_EQ(record.layers[0].proposals[2].reply, "Instruction: \"Good\"");
    EXPECT_EQ(record.layers[0].proposals[2].prompt, "Good");
    EXPECT_EQ(record.usage.calls, 3 * 8 + 3);
    EXPECT_THAT(bench_->backend().scored(), SizeIs(3 * 8));
}

TEST_F(StepTest, NearDuplicatesAreScoredOnceAndTheFirstStays) {
    const StepRecord record = run(
        training_job(),
        joined({{says("PROPOSE m0", "Good"), says("PROPOSE m1", "good."), says("PROPOSE m2", "p?")},
                good_and_poor()}));
    EXPECT_THAT(prompts_of(record), ElementsAre("P", "Good"));
    EXPECT_THAT(bench_->backend().scored(), SizeIs(2 * 8));
}

TEST_F(StepTest, ProposalsWithoutAModelCostNoRequest) {
    memory_ = {{.parameters = {{"Q.", 0}}, .dev = {}}};
    Job job = training_job(1);
    job.train.proposals.templates = {{.name = "edit"}, {.name = "crossover"}};
    job.train.candidates = 5;
    const StepRecord record = run(job, {});
    EXPECT_THAT(bench_->backend().continued(), IsEmpty());
    EXPECT_THAT(record.layers[0].proposals, SizeIs(4));
    ASSERT_GT(record.layers[0].candidates.size(), 2U);
    for (std::size_t k = 2; k < record.layers[0].candidates.size(); ++k) {
        EXPECT_THAT(record.layers[0].candidates[k].origin, ::testing::AnyOf("edit", "crossover"));
        EXPECT_EQ(record.layers[0].scores[k].scored, 8U);
    }
}

TEST_F(StepTest, OneReplyMakesSeveralProposals) {
    Job job = training_job(1);
    job.train.proposals.templates[0].prompts_a_reply = 3;
    job.train.candidates = 5;
    const StepRecord record =
        run(job, joined({{says("PROPOSE", "1. Good\n2. Poor")}, good_and_poor()}));
    // Two requests for four proposals; the third of the first list is missing, and both lists are equal.
    EXPECT_THAT(bench_->backend().continued(), SizeIs(2));
    std::vector<std::string> prompts;
    for (const ProposalRecord& proposal : record.layers[0].proposals) {
        prompts.push_back(proposal.prompt);
    }
    EXPECT_THAT(prompts, ElementsAre("Good", "Poor", "", "Good"));
    EXPECT_THAT(prompts_of(record), ElementsAre("P", "Good", "Poor"));
}

TEST_F(StepTest, IncumbentStaysWhenNothingIsBetterThanTheNoise) {
    noise_floor_ = 1.0;
    EXPECT_EQ(chosen_prompt(run(training_job(), good_and_poor())), "P");
    noise_floor_ = 0.6;  // Good is 0.64 ahead
    EXPECT_EQ(chosen_prompt(run(training_job(), good_and_poor())), "Good");
}

TEST_F(StepTest, MemoryIsACandidateAndAPromptToStartFrom) {
    memory_ = {{.parameters = {{"Best", 0}}, .dev = {}}};
    Job job = training_job(1);
    job.train.candidates = 4;
    const StepRecord record = run(job, joined({knows("Best", -0.01, -5.0), good_and_poor()}));
    EXPECT_EQ(record.layers[0].candidates.at(1).origin, "memory");
    EXPECT_EQ(chosen_prompt(record), "Best");
    EXPECT_THAT(bench_->backend().continued(),
                UnorderedElementsAre("PROPOSE m0 P", "PROPOSE m0 Best", "PROPOSE m0 P"));
}

TEST_F(StepTest, OtherTemplatesOfTheIncumbentAreCandidates) {
    Job job = training_job(1);
    job.network.layers[0].templates.push_back({.name = "b", .text = "{{prompt}}!\n{{input}}"});
    const StepRecord record = run(job, joined({{says("PROPOSE", "Good")},
                                               knows("P!", -0.1, -3.0),
                                               knows("Good!", -0.01, -5.0),
                                               knows("P", -1.0, -1.0)}));
    EXPECT_EQ(record.layers[0].candidates.at(1).origin, "template");
    EXPECT_EQ(record.layers[0].candidates.at(1).parameters, (LayerParameters{"P", 1}));
    // A new prompt is tried in the template that does best with the known ones.
    EXPECT_EQ(record.layers[0].candidates.at(record.layers[0].chosen).parameters,
              (LayerParameters{"Good", 1}));
}

TEST_F(StepTest, IncumbentThatStayedIsNotTriedInAllTemplatesAgain) {
    Job job = training_job(1);
    job.network.layers[0].templates.push_back({.name = "b", .text = "{{prompt}}!\n{{input}}"});
    tried_in_templates_ = {"P"};
    EXPECT_THAT(prompts_of(run(job, good_and_poor())), ElementsAre("P", "Good"));
    tried_in_templates_ = {"Q"};
    EXPECT_THAT(prompts_of(run(job, good_and_poor())), ElementsAre("P", "P", "Good"));
}

TEST_F(StepTest, HeldOutRankingRanksOnTheHalfThatNoProposalSaw) {
    Job job = training_job(1);
    job.train.held_out_ranking = true;
    job.train.proposals.templates[0].text = "PROPOSE {{#examples}}[{{input}}]{{/examples}}";
    const StepRecord record = run(job, good_and_poor());
    EXPECT_THAT(record.ranked_on, ElementsAre(4, 5, 6, 7));
    EXPECT_THAT(record.layers[0].scores, Each(Field(&CandidateScore::scored, 4U)));
    const std::string asked = bench_->backend().continued().at(0);
    for (std::size_t i = 0; i < 8; ++i) {
        const std::string input = "[" + std::string(train_[record.batch[i]].input) + "]";
        EXPECT_EQ(asked.find(input) != std::string::npos, i < 4) << input;
    }
}

TEST_F(StepTest, ProposalsSeeWhatWasRightAndWrong) {
    Job job = training_job(1);
    job.train.proposals.templates[0].text =
        "PROPOSE{{#errors}} [{{input}}:{{target}}:{{output}}]{{/errors}}";
    // Everything is yes, so the rain is wrong.
    run(job, {scores("", "\nyes", -0.1), scores("", "\nno", -2.0)});
    const std::string asked = bench_->backend().continued().at(0);
    EXPECT_THAT(asked, AllOf(HasSubstr("[rain "), HasSubstr(":no:yes]"), Not(HasSubstr("sun"))));
}

TEST_F(StepTest, AccuracyAsksForNothingWhenNothingIsWrong) {
    Job job = training_job();
    job.scoring.objective = Objective::accuracy;
    const StepRecord record = run(job, joined({knows("P", -0.1, -3.0), good_and_poor()}));
    EXPECT_THAT(bench_->backend().continued(), IsEmpty());
    EXPECT_THAT(prompts_of(record), ElementsAre("P"));
    EXPECT_DOUBLE_EQ(record.layers[0].scores[0].mean(), 1.0);
}

TEST_F(StepTest, AccuracyTakesThePromptThatIsRightMoreOften) {
    Job job = training_job();
    job.scoring.objective = Objective::accuracy;
    const StepRecord record = run(job, good_and_poor());
    EXPECT_EQ(chosen_prompt(record), "Good");
    EXPECT_DOUBLE_EQ(record.layers[0].scores[0].mean(), 0.5);  // ties go to the first class
    EXPECT_DOUBLE_EQ(record.layers[0].scores[1].mean(), 1.0);
    EXPECT_DOUBLE_EQ(record.layers[0].scores[2].mean(), 0.0);
}

TEST_F(StepTest, GeneratedOutputsAreComparedAndShown) {
    Job job = training_job(1);
    job.classes.clear();
    job.scoring.objective = Objective::accuracy;
    job.train.proposals.templates[0].text = "PROPOSE{{#errors}} <{{input}}|{{output}}>{{/errors}}";
    const StepRecord record = run(job, {says("PROPOSE", "Good"), says("Good\nsun", "yes"),
                                        says("Good\nrain", "no"), says("P\n", "yes")});
    EXPECT_EQ(chosen_prompt(record), "Good");
    EXPECT_THAT(bench_->backend().continued(),
                Contains(AllOf(HasSubstr("PROPOSE <rain"), HasSubstr("|yes>"))));
}

TEST_F(StepTest, LogProbRanksByTheTargetsScore) {
    Job job = training_job();
    job.classes.clear();
    job.scoring.objective = Objective::log_prob;
    const StepRecord record = run(job, good_and_poor());
    EXPECT_EQ(chosen_prompt(record), "Good");
    EXPECT_NEAR(record.layers[0].scores[0].mean(), -1.0, 1e-8);
    EXPECT_NEAR(record.layers[0].scores[1].mean(), -0.1, 1e-8);
}

/// One example of the batch is so long that it fits with P, but not with the prompt Good....
struct LongExample {
    static constexpr int kContext = 40;
    std::string good = "Good" + std::string(60, '.');
    std::vector<std::string> replies =
        joined({{says("PROPOSE", good)}, knows(good, -0.01, -5.0), knows("P", -1.0, -1.0)});
};

TEST_F(StepTest, CandidateWithAFailureCannotWinWhenAllMustBeScored) {
    train_.add("sun " + std::string(100, 'x'), "yes");
    Job job = training_job(1);
    job.train.batch_size = train_.size();
    job.train.class_balanced = false;
    job.train.proposals.max_tokens = 20;
    const LongExample with;
    const StepRecord strict = run(job, with.replies, {.context_tokens = LongExample::kContext});
    EXPECT_THAT(prompts_of(strict), ElementsAre("P", with.good));
    EXPECT_EQ(strict.layers[0].scores[1].failed, 1U);
    EXPECT_EQ(strict.layers[0].scores[1].scored, 20U);
    EXPECT_EQ(strict.layers[0].chosen, 0U);
    EXPECT_EQ(strict.failures, 1);
    EXPECT_THAT(strict.first_failure, HasSubstr("exceeds the 40"));
    job.scoring.min_scored = 0.9;
    EXPECT_EQ(run(job, with.replies, {.context_tokens = LongExample::kContext}).layers[0].chosen,
              1U);
}

TEST_F(StepTest, ProposalThatDoesNotFitIsAFailureAndTheOthersGoOn) {
    Job job = training_job(1);
    job.train.candidates = 3;
    job.train.proposals.max_tokens = 8;
    job.train.proposals.templates.push_back(
        {.name = "huge", .text = "PROPOSE" + std::string(400, 'x'), .chat = false});
    const StepRecord record =
        run(job, joined({{says("PROPOSE", "Good")}, good_and_poor()}), {.context_tokens = 40});
    EXPECT_EQ(record.failures, 1);
    EXPECT_THAT(record.first_failure, AllOf(HasSubstr("proposal 1"), HasSubstr("huge")));
    EXPECT_EQ(record.layers[0].proposals[1].template_name, "huge");
    EXPECT_EQ(record.layers[0].proposals[1].prompt, "");
    EXPECT_EQ(chosen_prompt(record), "Good");
}

TEST_F(StepTest, ReplyWithoutAPromptIsNoCandidate) {
    const StepRecord record =
        run(training_job(1), joined({{says("PROPOSE", "...")}, knows("P", -1.0, -1.0)}));
    EXPECT_THAT(prompts_of(record), ElementsAre("P"));
    EXPECT_EQ(record.layers[0].proposals[0].reply, "...");
    EXPECT_EQ(record.failures, 0);
}

TEST_F(StepTest, ReplyEndsAtTheJobsStop) {
    Job job = training_job(1);
    job.train.proposals.stop = {" because"};
    const StepRecord record =
        run(job, joined({{says("PROPOSE", "Good because it is")}, good_and_poor()}));
    EXPECT_EQ(record.layers[0].proposals[0].reply, "Good");
}

TEST_F(StepTest, RecordIsWrittenWithEveryCandidateAndScore) {
    const StepRecord record = run(training_job(), good_and_poor());
    StepDocument document;
    write_step(record, document);
    EXPECT_THAT(document.texts("step/layers/0/candidates/prompt"),
                ElementsAre("P", "Good", "Poor"));
    EXPECT_THAT(document.texts("step/layers/0/proposals/prompt"),
                ElementsAre("Good", "Poor", "Good"));
    EXPECT_EQ(document.integer("step/layers/0/chosen"), 1);
    EXPECT_EQ(document.at("step/layers/0/scores").shape, (std::vector<std::size_t>{3, 8, 1}));
    double sum = 0;
    for (std::size_t i = 8; i < 16; ++i) sum += document.reals("step/layers/0/scores")[i];
    EXPECT_EQ(to_fixed_point(sum), record.layers[0].scores[1].sum);
}

}  // namespace
}  // namespace dln
