// Units of a network against a scripted backend: expected cells are worked out here from its replies.

#include "dln/engine/network_runner.hpp"

#include <cmath>
#include <numeric>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/engine/payload.hpp"

#include "support/small_job.hpp"
#include "unit/engine/replies.hpp"

namespace dln {
namespace {

using testing::class_job;
using testing::dataset_of;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::layer_of;
using testing::says;
using testing::scores;
using testing::scripted;
using ::testing::SizeIs;
using testing::small_job;

constexpr std::int64_t kOne = std::int64_t{1} << 32;

class NetworkRunnerTest : public ::testing::Test {
  protected:
    void use(const Job& job, const Dataset& data, std::unique_ptr<Backend> backend) {
        splits_ = {Dataset(), data};
        network_.emplace(job, data);
        backend_ = std::move(backend);
        runner_.emplace(*network_, splits_, *backend_, 1);
    }
    /// The inputs of `data`, which are the training examples too, are shown with `nearest`.
    void use_nearest(const Dataset& data, std::vector<ShownExamples> nearest) {
        Job job = class_job();
        job.network.layers[0].few_shot = 1;
        job.network.layers[0].few_shot_choice = FewShotChoice::nearest;
        splits_ = {data, data};
        network_.emplace(job, data);
        backend_ = scripted({});
        nearest_ = {.splits = {{}, std::move(nearest)}, .content_free = {}};
        runner_.emplace(*network_, splits_, *backend_, 1, nullptr, &nearest_);
    }
    UnitResult run(const Unit& unit) {
        runner_->start(5, unit.payload);
        for (;;) {
            const auto finished = runner_->advance(std::chrono::milliseconds(1));
            if (finished.empty()) continue;
            EXPECT_EQ(finished.front().id, 5U);
            return finished.front().result;
        }
    }
    UnitResult evaluate(Measure measure, std::vector<std::uint64_t> examples) {
        return run(make_evaluate_units({.parameters = network_->initial_parameters(),
                                        .measure = measure,
                                        .split = 1,
                                        .examples = std::move(examples),
                                        .step = 0,
                                        .want_texts = true},
                                       100, network_->classes().size())
                       .at(0));
    }
    /// log p of the whole of `target` after `context`.
    double log_prob(const std::string& context, const std::string& target) {
        const Completion reply =
            run_request(*backend_, ScoreRequest{{{{.text = context}, {target}}}});
        const auto& tokens = std::get<ScoreReply>(reply.reply).scores[0][0].token_log_probs;
        return std::accumulate(tokens.begin(), tokens.end(), 0.0);
    }

  private:
    std::vector<Dataset> splits_;
    std::optional<Network> network_;
    std::unique_ptr<Backend> backend_;
    NearestExamples nearest_;
    std::optional<NetworkRunner> runner_;
};

TEST_F(NetworkRunnerTest, CellsOfClassesAreTheirUnnormalisedLogProbabilities) {
    Job job = class_job();
    job.scoring.leading_space = true;
    use(job, dataset_of({{"a", "no"}, {"b", "yes"}}), make_scripted_backend({}));
    const UnitResult result = evaluate(Measure::classes, {1, 0});
    const auto wanted = [this](const std::string& input, const std::string& name) {
        return to_fixed_point(std::log(std::exp(log_prob("P\n" + input, "\n" + name)) +
                                       std::exp(log_prob("P\n" + input, "\n " + name))));
    };
    ASSERT_THAT(result.cells, SizeIs(6));
    EXPECT_NEAR(static_cast<double>(result.cells[0]), static_cast<double>(wanted("b", "no")), 4);
    EXPECT_NEAR(static_cast<double>(result.cells[1]), static_cast<double>(wanted("b", "yes")), 4);
    EXPECT_EQ(result.cells[2], 1);
    EXPECT_NEAR(static_cast<double>(result.cells[3]), static_cast<double>(wanted("a", "no")), 4);
    EXPECT_EQ(result.cells[5], 1);
    EXPECT_EQ(result.failures, 0);
    EXPECT_EQ(result.usage.calls, 2);
}

TEST_F(NetworkRunnerTest, CellOfATargetIsItsScore) {
    Job job = small_job();
    job.scoring.objective = Objective::log_prob;
    job.scoring.burn_in = 0.5;
    use(job, dataset_of({{"a", "one two"}, {"b", "three"}}),
        scripted({scores("a", "\none two", -0.75), scores("b", "\nthree", -0.25)}));
    EXPECT_THAT(evaluate(Measure::target, {0, 1}).cells,
                ElementsAre(-3 * kOne / 4, 1, -kOne / 4, 1));
    job.scoring.length_normalise = LengthNormalise::bytes;
    job.scoring.burn_in = 0.0;
    use(job, dataset_of({{"a", "one two"}}), scripted({scores("a", "\none two", -2.0)}));
    EXPECT_THAT(evaluate(Measure::target, {0}).cells, ElementsAre(-kOne / 2, 1));
}

TEST_F(NetworkRunnerTest, GeneratedOutputIsComparedByExactMatch) {
    Job job = small_job();
    use(job, dataset_of({{"a", "yes"}, {"b", "yes"}, {"c", "yes"}}),
        scripted({says("\na", " yes\nbecause"), says("\nb", "no"), says("\nc", "Yes")}));
    EXPECT_THAT(evaluate(Measure::correct, {0, 1, 2}).cells, ElementsAre(kOne, 1, 0, 1, 0, 1));
    job.scoring.ignore_case = true;
    use(job, dataset_of({{"c", "yes"}}), scripted({says("\nc", "Yes")}));
    EXPECT_THAT(evaluate(Measure::correct, {0}).cells, ElementsAre(kOne, 1));
}

TEST_F(NetworkRunnerTest, GeneratedOutputIsComparedByNumber) {
    Job job = small_job();
    job.scoring.metric = Metric::number;
    use(job, dataset_of({{"a", "12"}, {"b", "12"}}),
        scripted({says("\na", "So it is 12."), says("\nb", "It is 112")}));
    const UnitResult result = evaluate(Measure::correct, {0, 1});
    EXPECT_THAT(result.cells, ElementsAre(kOne, 1, 0, 1));
    EXPECT_THAT(result.texts, ElementsAre("So it is 12.", "It is 112"));
}

TEST_F(NetworkRunnerTest, TwoLayersPassTheLatentOnAndScoreTheClasses) {
    Job job = class_job("L1 {{prompt}} [{{input}}]");
    job.network.layers.insert(job.network.layers.begin(),
                              layer_of("H", "L0 {{prompt}} [{{input}}]"));
    use(job, dataset_of({{"a", "no"}}),
        scripted({says("L0 H [a]", "latent"), scores("L1 P [latent]", "\nno", -1.0),
                  scores("L1 P [latent]", "\nyes", -2.0)}));
    const UnitResult result = evaluate(Measure::classes, {0});
    EXPECT_THAT(result.cells, ElementsAre(-kOne, -2 * kOne, 1));
    EXPECT_THAT(result.texts, ElementsAre("latent", ""));
    EXPECT_EQ(result.usage.calls, 2);
}

Job three_layers() {
    Job job = small_job("L2 {{prompt}} [{{input}}]");
    auto& layers = job.network.layers;
    layers.insert(layers.begin(), {layer_of("A", "L0 {{prompt}} [{{input}}]"),
                                   layer_of("B", "L1 {{prompt}} [{{input}}]")});
    layers[0].residual = "{{input}}>{{output}}";
    layers[1].residual = "{{input}}>{{output}}";
    return job;
}

TEST_F(NetworkRunnerTest, ThreeLayersReturnTheirLatentsInOrder) {
    use(three_layers(), dataset_of({{"x", "right"}, {"y", "right"}}),
        scripted({says("L0 A [x]", "x1"), says("L1 B [x>x1]", "x2"),
                  says("L2 P [x>x1>x2]", "right"), says("L0 A [y]", "y1"),
                  says("L1 B [y>y1]", "y2"), says("L2 P [y>y1>y2]", "wrong")}));
    const UnitResult result = evaluate(Measure::correct, {0, 1});
    EXPECT_THAT(result.texts, ElementsAre("x1", "x2", "right", "y1", "y2", "wrong"));
    EXPECT_THAT(result.cells, ElementsAre(kOne, 1, 0, 1));
    EXPECT_EQ(result.usage.calls, 6);
}

TEST_F(NetworkRunnerTest, TextsAreReturnedOnlyWhenWanted) {
    use(small_job(), dataset_of({{"a", "b"}}), make_scripted_backend({}));
    const Unit unit =
        make_evaluate_units(
            {.parameters = {{"P", 0}}, .measure = Measure::correct, .split = 1, .examples = {0}}, 8,
            0)
            .at(0);
    EXPECT_THAT(run(unit).texts, IsEmpty());
}

TEST_F(NetworkRunnerTest, HiddenLayersAloneDoNotSeeOptions) {
    Job job = class_job("L1 [{{input}}]");
    job.network.layers.insert(job.network.layers.begin(), layer_of("H", "L0 [{{input}}]"));
    job.network.strip_options = true;
    use(job, dataset_of({{"Which?\nOptions:\n- no\n- yes", "no"}}),
        scripted({says("L0 [Which?]", "seen")}));
    EXPECT_THAT(evaluate(Measure::classes, {0}).texts, ElementsAre("seen", ""));
}

TEST_F(NetworkRunnerTest, ContextThatIsTooLongIsAFailureOfThatExampleOnly) {
    const std::string large(400, 'x');
    const Dataset data = dataset_of({{"a", "no"}, {large, "no"}, {"b", "yes"}});
    use(class_job(), data, make_scripted_backend({.context_tokens = 50}));
    const UnitResult result = evaluate(Measure::classes, {0, 1, 2});
    const UnitResult alone = evaluate(Measure::classes, {0, 2});
    EXPECT_EQ(result.failures, 1);
    EXPECT_THAT(result.first_failure, HasSubstr("exceeds the 50"));
    ASSERT_THAT(result.cells, SizeIs(9));
    EXPECT_THAT(std::vector(result.cells.begin() + 3, result.cells.begin() + 6),
                ElementsAre(0, 0, 0));
    std::vector<std::int64_t> others = result.cells;
    others.erase(others.begin() + 3, others.begin() + 6);
    EXPECT_EQ(others, alone.cells);
    EXPECT_EQ(alone.failures, 0);
}

TEST_F(NetworkRunnerTest, FailureInAHiddenLayerEndsThatExampleOnly) {
    Job job = three_layers();
    for (LayerSpec& layer : job.network.layers) layer.max_tokens = 5;
    use(job, dataset_of({{std::string(400, 'x'), "right"}, {"y", "right"}}),
        scripted({says("L0 A [y]", "y1"), says("L1 B [y>y1]", "y2"), says("L2 P", "right")},
                 {.context_tokens = 50}));
    const UnitResult result = evaluate(Measure::correct, {0, 1});
    EXPECT_EQ(result.failures, 1);
    EXPECT_THAT(result.cells, ElementsAre(0, 0, kOne, 1));
    EXPECT_THAT(result.texts,
                ElementsAre("", "", HasSubstr("exceeds the 50"), "y1", "y2", "right"));
}

TEST_F(NetworkRunnerTest, UnitWhoseExamplesAllFailIsStillFinished) {
    use(three_layers(), dataset_of({{std::string(400, 'x'), "right"}}),
        make_scripted_backend({.context_tokens = 50}));
    const UnitResult result = evaluate(Measure::correct, {0});
    EXPECT_EQ(result.failures, 1);
    EXPECT_THAT(result.cells, ElementsAre(0, 0));
}

TEST_F(NetworkRunnerTest, GenerationUnitReturnsItsTextsAndCountsFailures) {
    use(small_job(), {}, scripted({says("one", "1"), says("two", "2")}, {.context_tokens = 50}));
    GenerateRequest request{.items = {}, .max_tokens = 5};
    for (const std::string& text :
         {std::string("one"), std::string(400, 'x'), std::string("two")}) {
        request.items.push_back({{.text = text}, 1});
    }
    const UnitResult result = run(make_generate_unit({.request = request}, ModelRole::backward));
    EXPECT_THAT(result.texts, ElementsAre("1", "", "2"));
    EXPECT_EQ(result.failures, 1);
    EXPECT_THAT(result.first_failure, HasSubstr("exceeds"));
    EXPECT_THAT(result.cells, IsEmpty());
    EXPECT_THAT(result.usage.generated_tokens, Gt(0));
}

TEST_F(NetworkRunnerTest, HiddenLayerUnitScoresItsLatentAfterTheLatentsBeforeIt) {
    use(three_layers(), dataset_of({{"x", "right"}, {"y", "right"}}),
        scripted({scores("L1 B [y>y1]", "\ny2", -0.5), scores("L1 B [x>x1]", "\nx2", -1.5)}));
    const std::vector<Unit> units =
        make_layer_units({.layer = 1,
                          .parameters = {"B", 0},
                          .measure = Measure::target,
                          .split = 1,
                          .items = {{1, {"y1", "y2"}}, {0, {"x1", "x2"}}}},
                         8, 0);
    ASSERT_THAT(units, SizeIs(1));
    EXPECT_EQ(units[0].cells, 4U);
    EXPECT_THAT(run(units[0]).cells, ElementsAre(-kOne / 2, 1, -3 * kOne / 2, 1));
}

TEST_F(NetworkRunnerTest, LatentsOfOneContextStayInOneUnitAndShareOneItem) {
    use(three_layers(), dataset_of({{"x", "right"}, {"y", "right"}}),
        scripted({scores("L1 B [y>y1]", "\nfirst", -0.5), scores("L1 B [y>y1]", "\nsecond", -1.5),
                  scores("L1 B [y>other]", "\nfirst", -2.5)},
                 {.context_tokens = 50}));
    const std::vector<Unit> units = make_layer_units({.layer = 1,
                                                      .parameters = {"B", 0},
                                                      .measure = Measure::target,
                                                      .split = 1,
                                                      .items = {{1, {"y1", "first"}},
                                                                {1, {"y1", std::string(400, 'z')}},
                                                                {1, {"y1", "second"}},
                                                                {1, {"other", "first"}}}},
                                                     1, 0);
    ASSERT_THAT(units, SizeIs(2));
    const UnitResult shared = run(units[0]);
    EXPECT_THAT(shared.cells, ElementsAre(-kOne / 2, 1, 0, 0, -3 * kOne / 2, 1));
    EXPECT_EQ(shared.usage.calls, 1);
    EXPECT_EQ(shared.failures, 1);
    EXPECT_EQ(units[1].first_cell, 6U);
    EXPECT_THAT(run(units[1]).cells, ElementsAre(-5 * kOne / 2, 1));
}

TEST_F(NetworkRunnerTest, LastLayerUnitMeasuresTheTargetWithAndWithoutTheResidual) {
    use(three_layers(), dataset_of({{"x", "right"}}),
        scripted(
            {scores("L2 P [x>x1>x2]", "\nright", -0.25), scores("L2 P [x2]", "\nright", -0.5)}));
    LayerUnit unit{.layer = 2,
                   .parameters = {"P", 0},
                   .measure = Measure::target,
                   .split = 1,
                   .items = {{0, {"x1", "x2"}}}};
    EXPECT_THAT(run(make_layer_units(unit, 8, 0)[0]).cells, ElementsAre(-kOne / 4, 1));
    unit.without_residual = true;
    EXPECT_THAT(run(make_layer_units(unit, 8, 0)[0]).cells, ElementsAre(-kOne / 2, 1));
}

TEST_F(NetworkRunnerTest, ContentFreeUnitTakesItsInputsFromTheJob) {
    Job job = class_job("L1 [{{input}}]");
    job.network.layers.insert(job.network.layers.begin(), layer_of("H", "L0 [{{input}}]"));
    job.network.layers[0].residual = "{{input}}>{{output}}";
    job.scoring.content_free_inputs = {"N/A", ""};
    use(job, {},
        scripted({scores("L1 [N/A>N/A]", "\nno", -1.0), scores("L1 [N/A>N/A]", "\nyes", -2.0),
                  scores("L1 [>]", "\nno", -3.0), scores("L1 [>]", "\nyes", -4.0)}));
    const LayerUnit unit{.layer = 1,
                         .parameters = {"P", 0},
                         .measure = Measure::classes,
                         .items = {{0, {"N/A"}}, {1, {""}}},
                         .content_free = true};
    EXPECT_THAT(run(make_layer_units(unit, 8, 2)[0]).cells,
                ElementsAre(-kOne, -2 * kOne, 1, -3 * kOne, -4 * kOne, 1));
}

TEST_F(NetworkRunnerTest, LastLayerUnitGeneratesAndComparesWhereOnlyRightAnswersCount) {
    use(three_layers(), dataset_of({{"x", "right"}}),
        scripted({says("L2 P [x>x1>x2]", "right"), says("L2 P", "wrong")}));
    const LayerUnit unit{.layer = 2,
                         .parameters = {"P", 0},
                         .measure = Measure::correct,
                         .split = 1,
                         .items = {{0, {"x1", "x2"}}, {0, {"x1", "other"}}}};
    EXPECT_THAT(run(make_layer_units(unit, 8, 0)[0]).cells, ElementsAre(kOne, 1, 0, 1));
}

TEST_F(NetworkRunnerTest, TextUnitScoresTextsAndCountsFailures) {
    use(small_job(), {}, scripted({scores("one", "\na b", -0.5)}, {.context_tokens = 50}));
    const std::vector<Unit> units =
        make_text_units({.items = {{{.text = "one"}, "\na b"},
                                   {{.text = std::string(400, 'x')}, "\nc"},
                                   {{.text = "one"}, "\na b"}}},
                        2, ModelRole::backward);
    ASSERT_THAT(units, SizeIs(2));
    const UnitResult first = run(units[0]);
    EXPECT_THAT(first.cells, ElementsAre(-kOne / 2, 1, 0, 0));
    EXPECT_EQ(first.failures, 1);
    EXPECT_EQ(units[1].first_cell, 4U);
    EXPECT_THAT(run(units[1]).cells, ElementsAre(-kOne / 2, 1));
}

TEST_F(NetworkRunnerTest, LastLayerSeesTheOptionsThatHiddenLayersDoNot) {
    Job job = class_job("L1 [{{input}}]");
    job.network.layers.insert(job.network.layers.begin(), layer_of("H", "L0 [{{input}}]"));
    job.network.layers[0].residual = "{{input}}>{{output}}";
    job.network.strip_options = true;
    use(job, dataset_of({{"Which?\nOptions:\n- no\n- yes", "no"}}),
        scripted({says("L0 [Which?]", "seen"),
                  scores("L1 [Which?\nOptions:\n- no\n- yes>seen]", "\nno", -1.0),
                  scores("L1 [Which?\nOptions:\n- no\n- yes>seen]", "\nyes", -2.0)}));
    EXPECT_THAT(evaluate(Measure::classes, {0}).cells, ElementsAre(-kOne, -2 * kOne, 1));
}

TEST(EvaluateUnits, CoverTheExamplesInBlocksWithCellsSideBySide) {
    const std::vector<Unit> units = make_evaluate_units({.parameters = {{"H", 0}, {"P", 1}},
                                                         .measure = Measure::classes,
                                                         .split = 1,
                                                         .examples = {9, 8, 7, 6, 5}},
                                                        2, 3);
    ASSERT_THAT(units, SizeIs(3));
    std::vector<std::uint64_t> examples;
    for (std::size_t u = 0; u < units.size(); ++u) {
        EXPECT_EQ(units[u].first_cell, u * 8);
        EXPECT_EQ(units[u].cells, u < 2 ? 8U : 4U);
        EXPECT_EQ(units[u].affinity, units[0].affinity);
        const auto part = std::get<EvaluateUnit>(payload::decode(units[u].payload).content);
        examples.insert(examples.end(), part.examples.begin(), part.examples.end());
    }
    EXPECT_THAT(examples, ElementsAre(9, 8, 7, 6, 5));
}

TEST(EvaluateUnits, AffinityIsThatOfTheLastLayersParameters) {
    const auto affinity = [](const NetworkParameters& parameters) {
        return make_evaluate_units({.parameters = parameters, .examples = {0}}, 2, 2)[0].affinity;
    };
    EXPECT_EQ(affinity({{"G", 0}, {"P", 0}}), affinity({{"H", 1}, {"P", 0}}));
    EXPECT_NE(affinity({{"P", 0}}), affinity({{"Q", 0}}));
    EXPECT_NE(affinity({{"P", 0}}), affinity({{"P", 1}}));
    EXPECT_NE(affinity({{"P", 0, {"a", "b"}}}), affinity({{"P", 0, {"a", "c"}}}));
    EXPECT_NE(affinity({{"P", 0, {"a", "b"}}}), affinity({{"P", 0, {"b", "a"}}}));
}

TEST_F(NetworkRunnerTest, EachInputIsShownItsOwnNearestExamples) {
    use_nearest(dataset_of({{"a", "yes"}, {"b", "no"}}),
                {{.examples = {1}, .failure = {}}, {.examples = {0}, .failure = {}}});
    const UnitResult result = evaluate(Measure::target, {0, 1});
    EXPECT_EQ(result.cells[0], to_fixed_point(log_prob("b\nno\n\nP\na", "\nyes")));
    EXPECT_EQ(result.cells[2], to_fixed_point(log_prob("a\nyes\n\nP\nb", "\nno")));
}

TEST_F(NetworkRunnerTest, InputWithoutNearestExamplesFailsAlone) {
    use_nearest(dataset_of({{"a", "yes"}, {"b", "no"}}),
                {{.examples = {}, .failure = "too long"}, {.examples = {0}, .failure = {}}});
    const UnitResult result = evaluate(Measure::classes, {0, 1});
    EXPECT_EQ(result.failures, 1);
    EXPECT_EQ(result.first_failure, "too long");
    EXPECT_EQ(result.cells[2], 0);
    EXPECT_EQ(result.cells[5], 1);
}

TEST_F(NetworkRunnerTest, UnitWithoutAnyNearestExamplesIsFinished) {
    use_nearest(dataset_of({{"a", "yes"}}), {{.examples = {}, .failure = "too long"}});
    EXPECT_EQ(evaluate(Measure::classes, {0}).failures, 1);
}

}  // namespace
}  // namespace dln
