// Training against a world in which one layer cannot solve the task and two or three can (latent_world.hpp):
// this shows that the inference finds what there is to find; no language model is asked.

#include "support/latent_world.hpp"

#include <functional>
#include <iostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/train/step.hpp"

#include "support/small_job.hpp"
#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::LatentWorld;

TemplateSpec template_of(std::size_t layer) {
    return {.name = "plain", .text = "L" + std::to_string(layer) + "|{{prompt}}|{{input}}"};
}

Job world_job(std::size_t layers, std::uint64_t seed) {
    Job job = testing::class_job();
    job.seed = seed;
    job.network.layers.clear();
    for (std::size_t l = 0; l < layers; ++l) {
        LayerSpec layer = testing::layer_of(l + 1 < layers ? "Think." : "Answer yes or no.");
        layer.templates = {template_of(l)};
        job.network.layers.push_back(layer);
    }
    job.train.steps = 12;
    job.train.batch_size = 20;
    job.train.candidates = 10;
    job.train.proposals.templates = {{.name = "any", .text = "PROPOSE|{{prompt}}", .chat = false}};
    job.train.posterior.samples = 5;
    // Only what leads to the answer counts. With the prior, a first layer that was once chosen by chance makes
    // its own thoughts probable, and a step sees no reason to leave it.
    job.train.posterior.prior = false;
    job.train.posterior.argmax = true;
    job.train.posterior.templates = {{.name = "target",
                                      .text = "Q|{{prompt}}|{{input}}|{{target}}",
                                      .messages = {},
                                      .chat = false}};
    return job;
}

/// The prompts after training, chosen by the trainer's steps alone, and the share of new things that they
/// get right.
struct Trained {
    std::vector<std::string> prompts;
    double accuracy = 0.0;
};

Trained train_in_world(const Job& job, std::size_t world_layers) {
    const std::vector<Dataset> splits{LatentWorld::things(200), {}, LatentWorld::things(100, 1000)};
    testing::Bench bench(job, splits, std::make_unique<LatentWorld>(world_layers));
    const TrainContext context = bench.context();
    TrainState state = bench.initial();
    for (; state.steps_done < job.train.steps; ++state.steps_done) {
        state.current = chosen_parameters(run_step(context, state), state.current);
    }
    Trained trained;
    for (const LayerParameters& layer : state.current) trained.prompts.push_back(layer.prompt);
    trained.accuracy = evaluate_split(context.engine, context.network, context.splits, kTestSplit,
                                      {state.current}, 0)
                           .front()
                           .accuracy();
    return trained;
}

int solved_seeds(std::size_t layers, const std::function<void(Job&)>& change = {}) {
    int solved = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Job job = world_job(layers, seed);
        if (change) change(job);
        const Trained trained = train_in_world(job, layers);
        if (trained.prompts == LatentWorld(layers).solution()) {
            EXPECT_EQ(trained.accuracy, 1.0);
            ++solved;
        } else {
            std::cout << "seed " << seed << ": " << ::testing::PrintToString(trained.prompts)
                      << "\n";
        }
    }
    return solved;
}

TEST(LatentWorld, NoPromptOfOneLayerIsBetterThanChance) {
    for (const std::size_t world_layers : {2U, 3U}) {
        Job job = world_job(1, 1);
        // The only layer speaks as the world's last one does.
        job.network.layers[0].templates = {template_of(world_layers - 1)};
        const Trained trained = train_in_world(job, world_layers);
        EXPECT_NEAR(trained.accuracy, 0.5, 0.15);
        EXPECT_EQ(trained.prompts, std::vector<std::string>{"Answer yes or no."});
    }
}

TEST(LatentWorld, TwoLayersFindBothPromptsInTenOfTenSeeds) { EXPECT_EQ(solved_seeds(2), 10); }

TEST(LatentWorld, ThreeLayersFindAllThreePromptsInAtLeastNineOfTenSeeds) {
    // One trajectory of nine says what matters, so more of them are drawn.
    const auto more_samples = [](Job& job) { job.train.posterior.samples = 10; };
    EXPECT_GE(solved_seeds(3, more_samples), 9);
}

TEST(LatentWorld, WithThePriorAFirstLayerChosenByChanceMayStay) {
    const auto with_prior = [](Job& job) {
        job.train.posterior.prior = true;
        job.train.posterior.argmax = false;
    };
    const int solved = solved_seeds(2, with_prior);
    std::cout << "with the prior and soft weights: " << solved << " of 10 seeds\n";
    EXPECT_GE(solved, 5);
    EXPECT_LT(solved, 10);
}

}  // namespace
}  // namespace dln
