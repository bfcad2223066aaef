// Whole runs of a mixture on a tiny model, in memory but for the run directory's text files.

#include "dln/mop/trainer.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/temporary_directory.hpp"
#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::small_job;
using testing::small_model;
using testing::small_shape;
using testing::small_texts;
using ::testing::ThrowsMessage;

class QuietObserver : public MopObserver {
  public:
    void resumed(const MopState& state, const std::vector<std::string>& /*skipped*/) override {
        resumed_at = state.steps_done;
    }
    void taught_gate(double loss) override { gate_loss = loss; }
    void stepped(const MopState& state, const TrainedStep& /*step*/, double) override {
        steps.push_back(state.steps_done);
    }
    void evaluated_dev(const MopState& state, const SplitSums& /*dev*/, bool /*is_best*/) override {
        evaluated.push_back(state.steps_done);
    }
    void warned(const std::string& message) override { warnings.push_back(message); }
    std::int64_t resumed_at = -1;
    double gate_loss = -1.0;
    std::vector<std::int64_t> steps;
    std::vector<std::int64_t> evaluated;
    std::vector<std::string> warnings;
};

/// A run directory with its step files in memory.
struct Place {
    explicit Place(const std::string& path) : run(path), store(make_memory_store()) {
        run.create("{}\n", "hash", {.forward = "model", .backward = {}, .embedding = {}});
    }
    [[nodiscard]] bool has(std::string_view name) const {
        return !dln::testing::read_bytes(run.file(name)).empty();
    }
    [[nodiscard]] nlohmann::json json(std::string_view name) const {
        nlohmann::json read = nlohmann::json::parse(dln::testing::read_bytes(run.file(name)));
        read.erase("measured");
        return read;
    }
    [[nodiscard]] std::vector<std::string> digests() const {
        std::vector<std::string> all;
        for (const std::int64_t step : store->steps()) {
            all.push_back(store->load(step).document.digest());
        }
        return all;
    }
    RunDirectory run;
    std::unique_ptr<CheckpointStore> store;
};

class MopTrainerTest : public ::testing::Test {
  protected:
    MopTrainerTest() {
        job_.keep = 0;
        job_.path = "job.json";
        job_.mixture.gate.pretrain_steps = 20;
        job_.mixture.gate.pretrain_rate = 0.05;
    }
    MopOutcome train(Place& place, const TrainEnd& end = {}) {
        observer_ = {};
        MixtureRanks ranks(*comm_, {.job = job_,
                                    .model = {.weights = &weights_, .first_block = 1},
                                    .shape = small_shape(),
                                    .splits = {&train_, &dev_, &test_}});
        return train_mixture({.job = job_,
                              .ranks = ranks,
                              .shape = small_shape(),
                              .splits = {&train_, &dev_, &test_}},
                             place.run, *place.store, {.job_hash = "hash"}, observer_, end);
    }
    void expect_same(const Place& run, const Place& other) {
        EXPECT_EQ(run.digests(), other.digests());
        EXPECT_EQ(run.json("result.json"), other.json("result.json"));
        EXPECT_EQ(dln::testing::read_bytes(run.run.metrics_path()),
                  dln::testing::read_bytes(other.run.metrics_path()));
    }

    LlamaWeights weights_ = small_model();
    MixtureTexts train_ = small_texts(weights_, 9);
    MixtureTexts dev_ = small_texts(weights_, 6);
    MixtureTexts test_ = small_texts(weights_, 5);
    MopJob job_ = small_job();
    dln::testing::TemporaryDirectory directory_;
    std::unique_ptr<Communicator> comm_ = make_local_communicator();
    QuietObserver observer_;
};

TEST_F(MopTrainerTest, LearnsTheAnswersOfTwoTasks) {
    job_.train.steps = 40;
    job_.train.eval_every = 20;
    job_.train.prompts_rate = 0.1;
    Place place(directory_ / "run");
    const MopOutcome outcome = train(place);
    EXPECT_LT(observer_.gate_loss, 0.3);
    EXPECT_THAT(observer_.evaluated, ElementsAre(0, 20, 40));
    const SplitSums first = read_mop_state(place.store->load(0).document).best->dev;
    EXPECT_LT(outcome.state.best->dev.all().mean_nll(), 0.9 * first.all().mean_nll());
    EXPECT_GT(outcome.state.best->step, 0);
    EXPECT_EQ(place.json("result.json")["steps_done"], 40);
    EXPECT_EQ(place.json("result.json")["test"]["right"].get<std::string>().size(), 5U);
}

TEST_F(MopTrainerTest, RunThatIsCutAnywhereEndsAsAStraightOne) {
    for (const bool is_federated : {false, true}) {
        if (is_federated) job_.federated = FederatedSpec{.clients = 3, .local_steps = 2};
        const std::string name = is_federated ? "federated-" : "central-";
        Place whole(directory_ / (name + "whole"));
        train(whole);
        for (std::int64_t cut = 1; cut < 4; ++cut) {
            Place parts(directory_ / (name + std::to_string(cut)));
            std::int64_t asked = 0;
            const TrainEnd end{
                .stop = [&] { return asked++ == cut ? std::string("enough") : std::string(); }};
            EXPECT_THAT([&] { train(parts, end); },
                        ThrowsMessage<StoppedError>(
                            HasSubstr("stopped (enough) with " + std::to_string(cut) + " of 4")));
            EXPECT_FALSE(parts.has("result.json"));
            train(parts);
            EXPECT_EQ(observer_.resumed_at, cut);
            expect_same(parts, whole);
        }
    }
}

TEST_F(MopTrainerTest, RunWithMoreStepsGoesOnAsIfItHadHadThemFromTheStart) {
    Place whole(directory_ / "whole");
    train(whole);
    Place run(directory_ / "run");
    job_.train.steps = 2;
    train(run);
    EXPECT_TRUE(run.has("result.json"));
    job_.train.steps = 4;
    train(run);
    EXPECT_THAT(observer_.warnings, IsEmpty());
    expect_same(run, whole);
}

TEST_F(MopTrainerTest, RunThatGoesOnFromAnEvaluationThatAStraightOneLacksSaysSo) {
    Place run(directory_ / "run");
    job_.train.steps = 1;
    train(run);
    job_.train.steps = 4;
    train(run);
    EXPECT_THAT(observer_.warnings, ElementsAre(HasSubstr("step 1 was evaluated on dev")));
}

TEST_F(MopTrainerTest, PausedRunHasNoTestAndGoesOnAsIfItHadNotPaused) {
    Place whole(directory_ / "whole");
    train(whole);
    Place run(directory_ / "run");
    train(run, {.pause_after = 2});
    EXPECT_EQ(run.json("result.json")["steps_done"], 2);
    EXPECT_FALSE(run.json("result.json").contains("test"));
    train(run);
    expect_same(run, whole);
}

TEST_F(MopTrainerTest, LossThatDivergesEndsTheRunAndKeepsTheLastGoodStep) {
    job_.train.prompts_rate = 1e30;
    job_.train.eval_every = 100;
    job_.keep = 1;
    Place place(directory_ / "run");
    EXPECT_THAT([&] { train(place); },
                ThrowsMessage<DivergedError>(HasSubstr("Step 0 is the last good one")));
    EXPECT_EQ(place.json("diverged.json")["last_good_step"], 0);
    EXPECT_FALSE(place.has("result.json"));
    EXPECT_THAT(place.store->steps(), Not(IsEmpty()));
    const MopState kept = read_mop_state(place.store->load(0).document);
    EXPECT_EQ(kept.steps_done, 0);
    EXPECT_EQ(best_parameters(kept), kept.parameters);
}

TEST_F(MopTrainerTest, DivergedRunIsToldWithoutADevSplitToo) {
    dev_ = small_texts(weights_, 0);
    job_.train.prompts_rate = 1e30;
    job_.keep = 1;
    Place place(directory_ / "run");
    EXPECT_THAT([&] { train(place); },
                ThrowsMessage<DivergedError>(HasSubstr("Step 0 is the last good one")));
    EXPECT_THAT(place.store->steps(), ElementsAre(0));
}

}  // namespace
}  // namespace dln::mop
