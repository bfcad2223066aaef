// Whole runs against a scripted backend, in memory but for the run directory's text files.

#include "dln/train/trainer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"
#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using testing::Bench;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::joined;
using testing::knows;
using ::testing::Lt;
using ::testing::Not;
using testing::says;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using testing::training_job;
using testing::weather;

class QuietObserver : public TrainObserver {
  public:
    void resumed(const TrainState& state, const std::vector<std::string>& /*skipped*/) override {
        resumed_at = state.steps_done;
    }
    void evaluated_dev(const TrainState& /*state*/, const DevResult& dev, bool is_best) override {
        dev_right.push_back(dev.right);
        best.push_back(is_best);
    }
    void stepped(const StepRecord& record, const TrainState& /*state*/, double) override {
        origins.push_back({});
        for (const auto& candidate : record.layers[0].candidates)
            origins.back().push_back(candidate.origin);
    }
    void progressed(const TrainState& /*state*/, const EngineProgress& progress) override {
        units_done.push_back(progress.units_done);
        most_units = std::max(most_units, progress.units_known);
    }
    void warned(const std::string& message) override { warnings.push_back(message); }

    std::int64_t resumed_at = -1;
    std::vector<std::int64_t> dev_right;
    std::vector<bool> best;
    std::vector<std::vector<std::string>> origins;
    std::vector<std::string> warnings;
    std::vector<std::size_t> units_done;
    std::size_t most_units = 0;
};

struct Trained {
    TrainOutcome outcome;
    QuietObserver observer;
    std::string metrics;
};

class TrainTest : public ::testing::Test {
  protected:
    Trained train_into(CheckpointStore& store) {
        Bench bench(job_, splits_, replies_, options_);
        RunDirectory run(directory_ / std::to_string(runs_++));
        run.create("{}\n", "hash", {.forward = "model"});
        Trained result;
        result.outcome = train(bench.context(), run, store, StepHeader{.job_hash = "hash"},
                               {.noise_floor = noise_floor_}, result.observer, end_);
        result.metrics = testing::read_bytes(run.metrics_path());
        return result;
    }

    Job job_ = training_job();
    std::vector<Dataset> splits_{weather(20), weather(10, " dev"), weather(12, " test")};
    std::vector<std::string> replies_;  // none: by hash
    ScriptedOptions options_;
    double noise_floor_ = 0.0;
    TrainEnd end_;

  private:
    testing::TemporaryDirectory directory_;
    int runs_ = 0;
};

/// Digests of all steps, timing left out.
std::vector<std::string> digests(CheckpointStore& store) {
    std::vector<std::string> all;
    for (const std::int64_t step : store.steps()) all.push_back(store.load(step).document.digest());
    return all;
}

class ResumeTest : public TrainTest {
  protected:
    void SetUp() override {
        job_.train.steps = 4;
        job_.train.memory = 2;
        job_.train.tolerance = 2;
        job_.train.eval_candidates = 2;
        noise_floor_ = 0.01;
    }
    void expect_equal_from_any_step();
};

TEST_F(ResumeTest, ResumedFromAnyStepEqualsTheUninterruptedRun) { expect_equal_from_any_step(); }

TEST_F(ResumeTest, ResumedSearchOfWordsEqualsTheUninterruptedOne) {
    LayerSpec& layer = job_.network.layers[0];
    layer.templates[0].text = "{{prompt}} {{word.a}} {{word.b}}\n{{input}}";
    layer.words = {{"a", {"a0", "a1", "a2"}}, {"b", {"b0", "b1"}}};
    job_.train.proposals.templates.push_back({.name = "words"});
    job_.train.candidates = 9;
    expect_equal_from_any_step();
}

TEST_F(ResumeTest, AskedToStopAtAnyTimeAndStartedAgainEqualsTheUninterruptedRun) {
    int asked = 0;
    end_.stop = [&asked] { return ++asked, std::string(); };
    const auto whole = make_memory_store();
    const Trained uninterrupted = train_into(*whole);
    const int all = asked;
    ASSERT_GT(all, 40);
    for (int last = 1; last < all; last += all / 20) {
        const auto store = make_memory_store();
        asked = 0;
        end_.stop = [&asked, last] { return std::string(++asked == last ? "SIGUSR1" : ""); };
        EXPECT_THAT([&] { (void)train_into(*store); },
                    ThrowsMessage<StoppedError>(
                        AllOf(HasSubstr("stopped (SIGUSR1)"), HasSubstr("of 4 steps complete"))));
        EXPECT_EQ(asked, last) << "once asked, always asked";
        end_.stop = {};
        const Trained resumed = train_into(*store);
        EXPECT_EQ(digests(*store), digests(*whole)) << "asked at " << last;
        EXPECT_TRUE(resumed.outcome.state == uninterrupted.outcome.state) << "asked at " << last;
    }
}

void ResumeTest::expect_equal_from_any_step() {
    const auto whole = make_memory_store();
    const Trained uninterrupted = train_into(*whole);
    ASSERT_THAT(whole->steps(), ElementsAre(0, 1, 2, 3, 4));
    for (std::int64_t done = 0; done <= 4; ++done) {
        const auto store = make_memory_store();
        for (std::int64_t step = 0; step <= done; ++step) {
            const StepFile file = whole->load(step);
            store->save(file.header, file.document);
        }
        noise_floor_ = 9.0;  // what is measured now does not count any more
        const Trained resumed = train_into(*store);
        EXPECT_EQ(resumed.observer.resumed_at, done);
        EXPECT_EQ(digests(*store), digests(*whole)) << "from step " << done;
        EXPECT_TRUE(resumed.outcome.state == uninterrupted.outcome.state) << "from step " << done;
        EXPECT_EQ(resumed.outcome.test->right_by_example,
                  uninterrupted.outcome.test->right_by_example);
    }
}

TEST_F(TrainTest, ResumedFromEveryOtherStepOfSparseEvaluationIsEqualToo) {
    job_.train.steps = 3;
    job_.train.eval_every = 2;
    job_.train.eval_initial = false;
    const auto whole = make_memory_store();
    train_into(*whole);
    const auto store = make_memory_store();
    for (std::int64_t step = 0; step <= 1; ++step) {
        store->save(whole->load(step).header, whole->load(step).document);
    }
    const Trained resumed = train_into(*store);
    EXPECT_EQ(digests(*store), digests(*whole));
    EXPECT_THAT(resumed.observer.dev_right, SizeIs(2));  // after step 2, and after the last
}

TEST_F(TrainTest, ExtendedRunEqualsTheStraightOne) {
    job_.train.memory = 2;
    job_.train.tolerance = 2;
    job_.train.eval_every = 2;
    job_.train.eval_candidates = 2;
    job_.train.steps = 4;
    const auto whole = make_memory_store();
    const Trained straight = train_into(*whole);
    const auto store = make_memory_store();
    job_.train.steps = 2;
    train_into(*store);
    job_.train.steps = 4;
    const Trained extended = train_into(*store);
    EXPECT_EQ(extended.observer.resumed_at, 2);
    EXPECT_EQ(digests(*store), digests(*whole));
    EXPECT_TRUE(extended.outcome.state == straight.outcome.state);
}

TEST_F(TrainTest, PausedRunHasResultsButNoneOnTestAndGoesOnAsIfItHadNotPaused) {
    job_.train.memory = 2;
    job_.train.tolerance = 2;
    job_.train.eval_every = 2;
    job_.train.steps = 5;
    const auto whole = make_memory_store();
    const Trained straight = train_into(*whole);
    const auto store = make_memory_store();
    end_.pause_after = 2;
    const Trained paused = train_into(*store);
    EXPECT_EQ(paused.outcome.state.steps_done, 2);
    EXPECT_FALSE(paused.outcome.test.has_value());
    EXPECT_THAT(paused.observer.dev_right, SizeIs(2));  // at first, and after step 2
    end_.pause_after = 5;
    const Trained resumed = train_into(*store);
    EXPECT_EQ(resumed.observer.resumed_at, 2);
    EXPECT_TRUE(resumed.observer.warnings.empty());
    EXPECT_EQ(digests(*store), digests(*whole));
    EXPECT_TRUE(resumed.outcome.state == straight.outcome.state);
    EXPECT_EQ(resumed.outcome.test->right_by_example, straight.outcome.test->right_by_example);
}

/// Good is better on train, and P on dev.
std::vector<std::string> misleading() {
    return joined({{says("PROPOSE", "Good"), testing::scores("P\nsun 0 dev", "\nyes", -0.1),
                    testing::scores("Good\nsun 0 dev", "\nyes", -20.0),
                    testing::scores("Good\nsun 2 dev", "\nyes", -20.0)},
                   knows("Good", -0.1, -3.0),
                   knows("P", -1.0, -1.0)});
}

TEST_F(TrainTest, ToleranceGoesBackToTheBestOnDev) {
    job_.train.steps = 2;
    replies_ = misleading();
    splits_[kDevSplit] = weather(4, " dev");
    const auto without = make_memory_store();
    const Trained led_astray = train_into(*without);
    EXPECT_EQ(led_astray.outcome.state.current[0].prompt, "Good");
    EXPECT_EQ(led_astray.outcome.parameters[0].prompt, "P");
    EXPECT_EQ(led_astray.outcome.state.best_step, 0);
    EXPECT_EQ(led_astray.outcome.state.without_gain, 2);
    job_.train.tolerance = 2;
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(store->load(1).document.texts("state/current/prompt").at(0), "Good");
    EXPECT_EQ(run.outcome.state.current[0].prompt, "P");
    EXPECT_EQ(run.outcome.state.without_gain, 0);
}

TEST_F(TrainTest, MemoryHoldsTheBestOnDevAndIsACandidate) {
    job_.train.steps = 2;
    job_.train.memory = 1;
    replies_ = misleading();
    splits_[kDevSplit] = weather(4, " dev");
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    ASSERT_THAT(run.outcome.state.memory, SizeIs(1));
    EXPECT_EQ(run.outcome.state.memory[0].parameters[0].prompt, "P");
    EXPECT_THAT(run.observer.origins.at(1), Contains("memory"));
}

TEST_F(TrainTest, NewIncumbentIsTriedInAllTemplatesOnce) {
    job_.train.steps = 3;
    job_.network.layers[0].templates.push_back({.name = "b", .text = "{{prompt}}!\n{{input}}"});
    replies_ =
        joined({{says("PROPOSE", "Good")}, knows("Good", -0.1, -3.0), knows("P", -1.0, -1.0)});
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    // "Good" wins the first step, enters in the second as the incumbent and stays.
    EXPECT_THAT(run.observer.origins.at(0), Contains("template"));
    EXPECT_THAT(run.observer.origins.at(1), Contains("template"));
    EXPECT_THAT(run.observer.origins.at(2), Not(Contains("template")));
}

TEST_F(TrainTest, ProgressIsToldWhileAStepIsComputed) {
    job_.train.steps = 1;
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_GT(run.observer.most_units, 0U);
    EXPECT_THAT(run.observer.units_done, Contains(AllOf(Gt(0U), Lt(run.observer.most_units))));
}

TEST_F(TrainTest, GainOnDevIsTakenAndTestedPairwise) {
    job_.train.steps = 2;
    replies_ =
        joined({{says("PROPOSE", "Good")}, knows("Good", -0.1, -3.0), knows("P", -1.0, -1.0)});
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(run.outcome.parameters[0].prompt, "Good");
    EXPECT_EQ(run.outcome.state.best_step, 1);
    EXPECT_THAT(run.observer.best, ElementsAre(true, true, false));
    EXPECT_THAT(run.observer.dev_right, ElementsAre(5, 10, 10));
    EXPECT_EQ(run.outcome.test->right, 12U);
    EXPECT_EQ(run.outcome.test_initial->right, 6U);
    EXPECT_EQ(run.outcome.test_data, splits_[kTestSplit].digest());
    EXPECT_EQ(run.outcome.gain.only_second, 6U);
    EXPECT_THAT(run.metrics, HasSubstr(R"({"step":0,"split":"dev","examples":10,"accuracy":0.5)"));
    EXPECT_THAT(run.metrics, HasSubstr(R"({"step":2,"split":"test","examples":12)"));
}

TEST_F(TrainTest, DevResultThatIsKnownIsNotPaidForAgain) {
    job_.train.steps = 1;
    replies_ =
        joined({{says("PROPOSE", "Poor")}, knows("Poor", -3.0, -0.1), knows("P", -1.0, -1.0)});
    const auto store = make_memory_store();
    // Initial dev, then batch with P and Poor and three proposals; P stays and is known on dev.
    EXPECT_EQ(train_into(*store).outcome.state.usage.calls, 10 + 8 + 8 + 3);
}

TEST_F(TrainTest, NextBestCandidatesAreEvaluatedOnDevWhenTheJobAsksSo) {
    job_.train.steps = 1;
    job_.train.memory = 5;
    job_.train.eval_candidates = 2;
    replies_ = misleading();
    splits_[kDevSplit] = weather(4, " dev");
    job_.train.eval_initial = false;
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(run.outcome.state.current[0].prompt, "Good");
    EXPECT_EQ(run.outcome.parameters[0].prompt, "P");
    EXPECT_THAT(run.outcome.state.memory, SizeIs(2));
}

// A prompt that makes dev contexts too long has a sum over fewer examples.
TEST_F(TrainTest, PromptThatFailsOnDevIsNotTheBest) {
    const std::string good = "Good" + std::string(60, '.');
    job_.classes.clear();
    job_.scoring.objective = Objective::log_prob;
    job_.train.steps = 1;
    job_.train.proposals.max_tokens = 20;
    replies_ = joined({{says("PROPOSE", good)}, knows(good, -0.1, -3.0), knows("P", -1.0, -1.0)});
    splits_[kDevSplit] = weather(4, std::string(100, '.'));
    options_.context_tokens = 40;
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(run.outcome.state.current[0].prompt, good);
    EXPECT_EQ(run.outcome.parameters[0].prompt, "P");
    EXPECT_THAT(run.observer.warnings, Contains(HasSubstr("dev: 4 requests failed")));
}

TEST_F(TrainTest, KeepPrunesAllButTheNewestAndTheBest) {
    job_.train.steps = 4;
    job_.keep = 1;
    replies_ = misleading();
    splits_[kDevSplit] = weather(4, " dev");
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(run.outcome.state.best_step, 0);
    EXPECT_THAT(store->steps(), ElementsAre(0, 4));
}

TEST_F(TrainTest, WithoutDevTheLastParametersAreTheOutcome) {
    job_.train.steps = 1;
    splits_[kDevSplit] = Dataset();
    splits_[kTestSplit] = Dataset();
    replies_ =
        joined({{says("PROPOSE", "Good")}, knows("Good", -0.1, -3.0), knows("P", -1.0, -1.0)});
    const auto store = make_memory_store();
    const Trained run = train_into(*store);
    EXPECT_EQ(run.outcome.parameters[0].prompt, "Good");
    EXPECT_FALSE(run.outcome.test.has_value());
    EXPECT_THAT(run.outcome.state.best, IsEmpty());
    EXPECT_EQ(run.metrics, "");
}

TEST_F(TrainTest, ContextTooSmallForEveryProposalEndsTheRun) {
    options_.context_tokens = 60;
    job_.train.proposals.max_tokens = 55;
    const auto store = make_memory_store();
    EXPECT_THAT([&] { static_cast<void>(train_into(*store)); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr("/backend/context_tokens"),
                                                HasSubstr("60 tokens"), HasSubstr("at least"))));
}

TEST_F(TrainTest, StepWithoutAnyScoreEndsTheRun) {
    options_.context_tokens = 60;
    job_.train.proposals.max_tokens = 5;
    splits_[kTrainSplit] = weather(20, std::string(1000, 'x'));
    const auto store = make_memory_store();
    EXPECT_THAT([&] { static_cast<void>(train_into(*store)); },
                ThrowsMessage<BackendError>(HasSubstr("step 1: no request for a score succeeded")));
}

TEST_F(TrainTest, FailuresAreWarnedOf) {
    job_.train.steps = 1;
    options_.context_tokens = 60;
    splits_[kTrainSplit].add("sun " + std::string(400, 'x'), "yes");
    job_.train.batch_size = 21;
    job_.train.class_balanced = false;
    job_.train.proposals.max_tokens = 20;
    const auto store = make_memory_store();
    EXPECT_THAT(train_into(*store).observer.warnings, Contains(HasSubstr("step 1: ")));
}

TEST(CheckTrainable, RefusesWhatCannotBeTrained) {
    Job job = training_job();
    EXPECT_NO_THROW(check_trainable(job));
    job.network.layers[0].train = false;
    EXPECT_THAT([&] { check_trainable(job); }, ThrowsMessage<UsageError>(HasSubstr("train")));
    job.network.layers = {testing::layer_of("A"), testing::layer_of("B")};
    EXPECT_NO_THROW(check_trainable(job));
    job.network.layers[0].train = false;
    EXPECT_NO_THROW(check_trainable(job));
    job.network.layers[1].train = false;
    EXPECT_THAT([&] { check_trainable(job); },
                ThrowsMessage<UsageError>(HasSubstr("in all of them")));
}

}  // namespace
}  // namespace dln
