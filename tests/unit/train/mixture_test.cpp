// Mixture layers: an evaluation by the gate, a step that shares out its batch, and training in a world in which no
// prompt knows all (mixture_world.hpp).

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/network/gate.hpp"
#include "dln/train/step.hpp"

#include "support/latent_world.hpp"
#include "support/mixture_world.hpp"
#include "train/gates.hpp"
#include "train/routes.hpp"
#include "train/step_outcome.hpp"
#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::Bench;
using ::testing::ElementsAre;
using testing::MixtureWorld;

Job mixture_job(std::size_t experts, std::uint64_t seed = 1) {
    Job job = testing::class_job();
    job.seed = seed;
    job.network.layers = {testing::layer_of("Answer.", "{{prompt}}|{{input}}")};
    job.network.layers[0].mixture.experts = experts;
    job.train.steps = 8;
    job.train.batch_size = 24;
    job.train.class_balanced = false;
    job.train.candidates = 6;
    job.train.proposals.templates = {{.name = "any",
                                      .text = "PROPOSE|{{#examples}}{{input}};{{/examples}}",
                                      .messages = {},
                                      .chat = false}};
    return job;
}

// Embeddings of one number: 1 for what the first expert should answer, -1 for the second's.
InputEmbeddings one_number(const std::vector<std::vector<float>>& splits) {
    Embeddings rows{.dimension = 1, .values = {}, .failures = {}};
    std::vector<std::vector<std::size_t>> of_splits;
    for (const auto& split : splits) {
        auto& own = of_splits.emplace_back();
        for (const float value : split) {
            own.push_back(rows.values.size());
            rows.values.push_back(value);
        }
    }
    return {std::move(rows), std::move(of_splits)};
}

// The experts "A", right by `a`, and "B", right by `b`, and a gate that says `first` for the first one and an
// embedding of 0.
LayerParameters two_experts(double first) {
    LayerParameters layer{"A", 0};
    layer.others = {{"B", 0}};
    layer.gate = {.bias = {std::log(first), std::log(1.0 - first)}, .weights = {2.0, -2.0}};
    return layer;
}

// "A" says 0.8 for what is right, "B" 0.3.
std::vector<std::string> two_prompts() {
    return testing::joined({testing::knows("A", std::log(0.8), std::log(0.2)),
                            testing::knows("B", std::log(0.3), std::log(0.7))});
}

Job two_prompt_job(MixturePrediction prediction = MixturePrediction::best) {
    Job job = testing::training_job();
    job.network.layers[0].prompts = {"A", "B"};
    job.network.layers[0].mixture = {.experts = 2, .prediction = prediction, .gate = {}};
    return job;
}

TEST(MixtureEvaluation, EachExampleGoesToTheExpertThatTheGateFindsMostProbable) {
    const std::vector<Dataset> splits{testing::weather(4)};
    Bench bench(two_prompt_job(), splits, two_prompts());
    const InputEmbeddings inputs = one_number({{1.0F, -1.0F, -1.0F, 1.0F}});
    const TrainContext context = bench.context();
    const Evaluation evaluation = evaluate_split(context.engine, context.network, context.splits,
                                                 kTrainSplit, {{two_experts(0.5)}}, 0, &inputs)
                                      .front();
    EXPECT_THAT(evaluation.right_by_example, ElementsAre(true, false, false, true));
    EXPECT_NEAR(evaluation.log_likelihood(), (2 * std::log(0.8) + 2 * std::log(0.3)) / 4.0, 1e-8);
}

TEST(MixtureEvaluation, AMixtureIsTheMeanOfClassProbabilitiesByTheGates) {
    const std::vector<Dataset> splits{testing::weather(2)};
    Bench bench(two_prompt_job(MixturePrediction::mixture), splits, two_prompts());
    const InputEmbeddings inputs = one_number({{0.0F, 0.0F}});
    const TrainContext context = bench.context();
    const Evaluation evaluation = evaluate_split(context.engine, context.network, context.splits,
                                                 kTrainSplit, {{two_experts(0.75)}}, 0, &inputs)
                                      .front();
    EXPECT_NEAR(evaluation.log_likelihood(), std::log(0.75 * 0.8 + 0.25 * 0.3), 1e-8);
}

TEST(MixtureEvaluation, AnInputWithoutAnEmbeddingGoesByTheBias) {
    const std::vector<std::span<const float>> nothing(1);
    EXPECT_EQ(route_parts({two_experts(0.75)}, nothing, false)[0].parameters[0].prompt, "A");
    EXPECT_EQ(route_parts({two_experts(0.25)}, nothing, false)[0].parameters[0].prompt, "B");
}

TEST(MixtureEvaluation, StackedMixturesHaveAPartForEachWayThrough) {
    const NetworkParameters network{two_experts(0.5), two_experts(0.5)};
    const std::vector<float> values{1.0F, -1.0F};
    const std::vector<std::span<const float>> rows{std::span(values).first(1),
                                                   std::span(values).last(1)};
    EXPECT_EQ(route_parts(network, rows, false).size(), 2U);
    const std::vector<RoutePart> mixed = route_parts(network, rows, true);
    ASSERT_EQ(mixed.size(), 4U);
    EXPECT_EQ(mixed[1].parameters[0].prompt, "A");
    EXPECT_EQ(mixed[1].parameters[1].prompt, "B");
    EXPECT_NEAR(mixed[1].log_weights[0], -std::log(1.0 + std::exp(4.0)), 1e-9);
}

TEST(MixtureStep, SharesTheBatchOutByGateTimesLikelihood) {
    const std::vector<Dataset> splits{testing::weather(8)};
    Bench bench(two_prompt_job(), splits, two_prompts());
    const InputEmbeddings inputs = one_number({std::vector<float>(8, 0.0F)});
    TrainContext context = bench.context();
    context.inputs = &inputs;
    TrainState state = bench.initial();
    state.current = {two_experts(0.75)};
    const StepRecord record = run_step(context, state);
    ASSERT_EQ(record.mixtures.size(), 1U);
    const double first = 0.75 * 0.8 / (0.75 * 0.8 + 0.25 * 0.3);
    for (std::size_t i = 0; i < record.batch.size(); ++i) {
        EXPECT_NEAR(record.mixtures[0].responsibilities[2 * i], first, 1e-8);
        EXPECT_NEAR(record.mixtures[0].responsibilities[2 * i + 1], 1.0 - first, 1e-8);
    }
    ASSERT_EQ(record.layers.size(), 2U);
    // All examples are the first expert's: the other asks for no prompt and keeps its own.
    EXPECT_EQ(record.layers[1].proposals.size(), 0U);
    EXPECT_EQ(record.layers[1].chosen, 0U);
    EXPECT_EQ(record.layers[0].proposals.size(), 3U);
}

TEST(MixtureStep, ACandidateIsWorthItsMeanByResponsibility) {
    const std::vector<std::size_t> ranked_on{0, 1, 2};
    const std::vector<double> shares{0.5, 0.25, 0.0};
    const CandidateScore score = score_of(0, {-1.0, -2.0, -100.0}, ranked_on, shares);
    EXPECT_NEAR(score.mean(), (0.5 * -1.0 + 0.25 * -2.0) / 0.75, 1e-9);
    EXPECT_EQ(score.scored, 3U);
}

// Two layers of the latent world, both mixtures that begin with different prompts.
Job stacked_job() {
    Job job = testing::class_job();
    job.network.layers.clear();
    for (const std::string layer : {"0", "1"}) {
        LayerSpec spec = testing::layer_of("", "L" + layer + "|{{prompt}}|{{input}}");
        spec.prompts = layer == "0" ? std::vector<std::string>{"Name the colour.", "Name the size."}
                                    : std::vector<std::string>{"Answer yes or no.", "Be brief."};
        spec.mixture.experts = 2;
        job.network.layers.push_back(spec);
    }
    job.train.batch_size = 12;
    job.train.candidates = 4;
    job.train.proposals.templates = {{.name = "any", .text = "PROPOSE|{{prompt}}", .chat = false}};
    job.train.posterior.samples = 4;
    job.train.posterior.templates = {{.name = "target",
                                      .text = "Q|{{prompt}}|{{input}}|{{target}}",
                                      .messages = {},
                                      .chat = false}};
    return job;
}

TEST(MixtureStep, OfAHiddenLayerSharesOutByWeightedLatentsAndRanksByTheShares) {
    const std::vector<Dataset> splits{testing::LatentWorld::things(40)};
    const InputEmbeddings inputs = MixtureWorld::embeddings(splits);
    Bench bench(stacked_job(), splits, std::make_unique<testing::LatentWorld>(2));
    TrainContext context = bench.context();
    context.inputs = &inputs;
    const StepRecord record = run_step(context, bench.initial());
    ASSERT_EQ(record.layers.size(), 4U);
    for (const MixtureRecord& mixture : record.mixtures) {
        const std::size_t first = 2 * mixture.layer;
        std::vector<ExampleValues> values;
        for (std::size_t e = 0; e < 2; ++e) {
            const LayerRecord& expert = record.layers[first + e];
            values.push_back(weighted_scores(record.weights, expert.tables[0]));
            EXPECT_EQ(expert.scores[0].mean(),
                      score_of(0, values.back(), record.ranked_on, mixture.shares_of(e)).mean());
        }
        for (std::size_t i = 0; i < record.batch.size(); ++i) {
            const double gap = mixture.log_gate[2 * i] + *values[0][i] -
                               mixture.log_gate[2 * i + 1] - *values[1][i];
            EXPECT_NEAR(mixture.responsibilities[2 * i], 1.0 / (1.0 + std::exp(-gap)), 1e-6);
        }
    }
}

TEST(MixtureState, ComesBackFromAStepFileAsItWas) {
    TrainState state;
    state.current = {{"P", 0, {"Text"}}, two_experts(0.6)};
    state.current[1].others.push_back({"C", 1});
    state.current[1].gate = {.bias = {0.1, 0.2, 1.0 / 3.0}, .weights = {1, 2, 3, 4, 5, 6}};
    NetworkParameters initial = state.current;
    initial[1].gate = {};
    state.memory = {{state.current, {}}, {initial, {}}};
    state.responsibilities[1] = {{3, {0.1, 0.2, 0.7}}, {11, {1.0, 0.0, 0.0}}};
    StepDocument document;
    write_state(state, document);
    EXPECT_EQ(read_state(document), state);
}

struct Trained {
    std::vector<std::string> prompts;
    double accuracy = 0.0;
    bool gate_is_right = true;
};

Trained train_in_world(const Job& job) {
    const std::vector<Dataset> splits{
        MixtureWorld::inputs(96), {}, MixtureWorld::inputs(100, 1000)};
    const InputEmbeddings inputs = MixtureWorld::embeddings(splits);
    Bench bench(job, splits, std::make_unique<MixtureWorld>());
    TrainContext context = bench.context();
    context.inputs = &inputs;
    TrainState state = bench.initial();
    for (std::int64_t step = 0; step < job.train.steps; ++step) {
        take_step(context, run_step(context, state), state);
    }
    Trained trained;
    const LayerParameters& layer = state.current.front();
    for (const LayerParameters& expert : experts_of(layer)) {
        trained.prompts.push_back(expert.prompt);
    }
    trained.accuracy = evaluate_split(context.engine, context.network, context.splits, kTestSplit,
                                      {state.current}, 0, &inputs)
                           .front()
                           .accuracy();
    for (std::size_t i = 0; i < splits[kTestSplit].size(); ++i) {
        const std::size_t expert =
            largest_of(gate_log_probs(layer.gate, expert_count(layer), inputs.of(kTestSplit, i)));
        const bool is_colour = MixtureWorld::is_colour(splits[kTestSplit][i].input);
        const bool asks_for_colours = trained.prompts[expert] == MixtureWorld::kColours;
        trained.gate_is_right = trained.gate_is_right && is_colour == asks_for_colours;
    }
    return trained;
}

TEST(MixtureWorld, TwoExpertsAndTheirGateAreFoundInTenOfTenSeeds) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const Trained trained = train_in_world(mixture_job(2, seed));
        EXPECT_THAT(trained.prompts,
                    ::testing::UnorderedElementsAre(MixtureWorld::kColours, MixtureWorld::kNumbers))
            << seed;
        EXPECT_TRUE(trained.gate_is_right) << seed;
        EXPECT_EQ(trained.accuracy, 1.0) << seed;
    }
}

TEST(MixtureWorld, OnePromptIsWrongAboutMuchOfOneKind) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        EXPECT_LE(train_in_world(mixture_job(1, seed)).accuracy, 0.85) << seed;
    }
}

}  // namespace
}  // namespace dln
