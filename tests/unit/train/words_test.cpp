// Words of templates as a part of what is searched: how they are changed, and steps and runs that choose them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/train/plan.hpp"
#include "dln/train/step.hpp"

#include "train/word_changes.hpp"
#include "unit/train/training_fixture.hpp"

namespace dln {
namespace {

using testing::Bench;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::joined;
using testing::knows;
using testing::says;
using ::testing::SizeIs;
using testing::weather;

// ---- changes -------------------------------------------------------------------------------------

KnownWords known_words(std::vector<LayerParameters> parameters) {
    return {.parameters = std::move(parameters),
            .words = {{"a", {"a0", "a1", "a2"}}, {"b", {"b0", "b1"}}},
            .in_template = {{0, 1}, {1}, {}}};
}

std::vector<LayerParameters> changes(const KnownWords& known,
                                     std::size_t count,
                                     std::uint64_t step = 0) {
    CounterRng random({.seed = 1, .step = step, .role = RandomRole::proposal_words});
    std::vector<LayerParameters> made;
    for (auto& one : changed_words(known, count, random)) {
        if (one) made.push_back(std::move(*one));
    }
    return made;
}

TEST(ChangedWords, AreAllOthersEachOnce) {
    for (std::uint64_t step = 0; step < 20; ++step) {
        const auto made = changes(known_words({{"P", 0, {"a0", "b0"}}}), 9, step);
        EXPECT_THAT(made, ::testing::UnorderedElementsAre(LayerParameters{"P", 0, {"a1", "b0"}},
                                                          LayerParameters{"P", 0, {"a2", "b0"}},
                                                          LayerParameters{"P", 0, {"a0", "b1"}},
                                                          LayerParameters{"P", 0, {"a1", "b1"}},
                                                          LayerParameters{"P", 0, {"a2", "b1"}}))
            << "step " << step;
    }
}

TEST(ChangedWords, AreTwoAtOnceForAboutOneInFour) {
    int two = 0;
    for (std::uint64_t step = 0; step < 400; ++step) {
        const auto made = changes(known_words({{"P", 0, {"a0", "b0"}}}), 1, step);
        two += made.at(0).words[0] != "a0" && made.at(0).words[1] != "b0" ? 1 : 0;
    }
    EXPECT_NEAR(two, 100, 35);  // four standard deviations
}

TEST(ChangedWords, AreThoseOfTheTemplateOnly) {
    EXPECT_THAT(changes(known_words({{"P", 1, {"a0", "b0"}}}), 9),
                ElementsAre(LayerParameters{"P", 1, {"a0", "b1"}}));
    EXPECT_THAT(changes(known_words({{"P", 2, {"a0", "b0"}}}), 9), IsEmpty());
}

TEST(ChangedWords, StartFromAllInTurnAndRepeatNoneThatIsKnown) {
    const KnownWords known = known_words({{"P", 1, {"a0", "b0"}}, {"Q", 1, {"a0", "b0"}}});
    EXPECT_THAT(changes(known, 3), ElementsAre(LayerParameters{"P", 1, {"a0", "b1"}},
                                               LayerParameters{"Q", 1, {"a0", "b1"}}));
    EXPECT_THAT(changes(known_words({{"P", 1, {"a0", "b0"}}, {"P", 1, {"a0", "b1"}}}), 3),
                IsEmpty());
}

TEST(ChangedWords, ComeBackFromAWordThatIsNotInTheList) {
    EXPECT_THAT(changes(known_words({{"P", 1, {"a0", "new"}}}), 3),
                ::testing::UnorderedElementsAre(LayerParameters{"P", 1, {"a0", "b0"}},
                                                LayerParameters{"P", 1, {"a0", "b1"}}));
}

TEST(ChangedWords, DependOnNothingThatComesLater) {
    const KnownWords known = known_words({{"P", 0, {"a0", "b0"}}});
    std::vector<LayerParameters> first = changes(known, 5);
    first.resize(2);
    EXPECT_EQ(changes(known, 2), first);
}

TEST(WordFromReply, IsAShortTextOfTheFirstLine) {
    EXPECT_EQ(word_from_reply(" Movie review\nThis says"), "Movie review");
    EXPECT_EQ(word_from_reply("\"Film:\""), "Film");
    EXPECT_EQ(word_from_reply("Better label: **Film**"), "Film");
    EXPECT_EQ(word_from_reply("1. Film-maker's note."), "Film-maker's note");
    EXPECT_EQ(word_from_reply("A text that someone wrote"), "A text that");
    EXPECT_EQ(word_from_reply("\u00dcberschrift"), "\u00dcberschrift");
    EXPECT_EQ(word_from_reply(std::string(41, 'a')), "");
    EXPECT_EQ(word_from_reply("a {{b}} c"), "");
    EXPECT_EQ(word_from_reply(" :\n"), "");
}

TEST(ReplacedCore, KeepsWhatStandsAround) {
    EXPECT_EQ(replaced_core("Text", {}, "Film"), "Film");
    EXPECT_EQ(replaced_core("\n- Text: ", {}, "Film"), "\n- Film: ");
    EXPECT_EQ(replaced_core("", {"", "Text: "}, "Film"), "Film: ");
    EXPECT_EQ(replaced_core("", {""}, "Film"), "Film");
}

// ---- steps ---------------------------------------------------------------------------------------

/// The prompt P with words; `words` of `templates` proposals change them, the others are model replies.
Job words_job(std::size_t words, std::size_t others = 0) {
    Job job = testing::training_job(others);
    LayerSpec& layer = job.network.layers[0];
    layer.templates[0].text = "{{prompt}} {{word.a}} {{word.b}}\n{{input}}";
    layer.words = {{"a", {"a0", "a1", "a2"}}, {"b", {"b0", "b1"}}};
    job.train.proposals.templates.push_back({.name = "words"});
    job.train.proposals.templates.back().share =
        others == 0 ? 1.0 : static_cast<double>(words) / static_cast<double>(others);
    job.train.candidates = 1 + words + others;
    return job;
}

/// Only the words a2 and b1 together tell anything of the answer, and a2 alone a little.
std::vector<std::string> world() {
    std::vector<std::vector<std::string>> all{knows("P a2 b1", -0.1, -3.0),
                                              knows("P a2 b0", -0.6, -0.8)};
    for (const char* words : {"a0 b0", "a0 b1", "a1 b0", "a1 b1"}) {
        all.push_back(knows(std::string("P ") + words, -1.0, -1.0));
    }
    all.push_back(knows("Q a0 b0", -2.0, -1.0));
    all.push_back(knows("Q a2 b0", -2.0, -1.0));
    return joined(all);
}

StepRecord run(const Job& job,
               const std::vector<std::string>& replies,
               const std::vector<Evaluated>& memory = {}) {
    Bench bench(job, {weather(20), {}, {}}, replies);
    TrainState state = bench.initial();
    state.memory = memory;
    return run_step(bench.context(), state);
}

TEST(WordsStep, ChoosesTheBestWords) {
    const StepRecord record = run(words_job(5), world());
    const LayerRecord& layer = record.layers[0];
    EXPECT_THAT(layer.candidates, SizeIs(6));
    EXPECT_EQ(layer.candidates[layer.chosen].origin, "words");
    EXPECT_EQ(layer.chosen_parameters(), (LayerParameters{"P", 0, {"a2", "b1"}}));
}

TEST(WordsStep, RaceChoosesTheSame) {
    Job job = words_job(5);
    job.train.select = SelectMode::racing;
    EXPECT_EQ(run(job, world()).layers[0].chosen_parameters(),
              (LayerParameters{"P", 0, {"a2", "b1"}}));
}

TEST(WordsStep, NewPromptsGetTheWordsOfTheBestKnownCandidate) {
    Job job = words_job(1, 1);
    const StepRecord record = run(job, joined({{says("PROPOSE", "Q")}, world()}),
                                  {{.parameters = {{"P", 0, {"a2", "b0"}}}, .dev = {}}});
    std::vector<LayerParameters> proposed;
    for (const StepCandidate& candidate : record.layers[0].candidates) {
        if (candidate.origin == "m0") proposed.push_back(candidate.parameters);
    }
    EXPECT_THAT(proposed, ElementsAre(LayerParameters{"Q", 0, {"a2", "b0"}}));
}

TEST(WordsStep, OtherTemplatesAndInitialPromptsKeepTheWords) {
    Job job = words_job(1);
    job.network.layers[0].prompts.push_back("Q");
    job.network.layers[0].templates.push_back({.name = "t", .text = "{{prompt}}{{input}}"});
    const StepRecord record = run(job, world());
    std::vector<std::vector<std::string>> words;
    for (const StepCandidate& candidate : record.layers[0].candidates) {
        if (candidate.origin != "words") words.push_back(candidate.parameters.words);
    }
    EXPECT_THAT(words, SizeIs(3));
    EXPECT_THAT(words, Each(ElementsAre("a0", "b0")));
}

TEST(WordsStep, FileHoldsTheWordsOfCandidatesAndProposals) {
    const StepRecord record = run(words_job(2), world());
    StepDocument document;
    write_step(record, document);
    const Array& words = document.at("step/layers/0/candidates/words");
    EXPECT_THAT(words.shape, ElementsAre(3, 2));
    const auto& texts = document.texts("step/layers/0/candidates/words");
    EXPECT_THAT(std::vector(texts.begin(), texts.begin() + 2), ElementsAre("a0", "b0"));
    EXPECT_THAT(document.at("step/layers/0/proposals/words").shape, ElementsAre(2, 2));
}

TEST(WordsStep, FileOfAJobWithoutWordsHasNoneOfThis) {
    Job job = testing::training_job(1);
    Bench bench(job, {weather(20), {}, {}}, joined({{says("PROPOSE", "Q")}, world()}));
    TrainState state = bench.initial();
    StepDocument document;
    write_step(run_step(bench.context(), state), document);
    write_state(state, document);
    for (const auto& [path, array] : document.arrays) {
        EXPECT_EQ(path.find("word"), std::string::npos) << path;
    }
}

Job new_words_job() {
    Job job = words_job(0);
    job.train.proposals.templates = {{.name = "new_words_few_shot", .text = ""}};
    job.train.candidates = 3;
    return job;
}

TEST(WordsStep, ModelNamesWordsThatNoListHas) {
    const StepRecord record = run(
        new_words_job(),
        joined({{says("Label of the a: a0", " New.\n"), says("Label of the b: b0", " b0: more")},
                knows("P New b0", -0.1, -3.0),
                world()}));
    const LayerRecord& layer = record.layers[0];
    EXPECT_EQ(layer.proposals.at(0).reply, " New.\n");
    EXPECT_EQ(layer.chosen_parameters(), (LayerParameters{"P", 0, {"New", "b0"}}));
    EXPECT_THAT(layer.candidates, SizeIs(3));
    EXPECT_EQ(layer.candidates.at(2).parameters.words, (std::vector<std::string>{"a0", "more"}));
}

TEST(WordsStep, ReplyThatNamesTheSameWordIsNoCandidate) {
    const StepRecord record =
        run(new_words_job(), joined({{says("Label of the", " a{x}b")}, world()}));
    EXPECT_THAT(record.layers[0].candidates, SizeIs(1));
    const StepRecord same =
        run(new_words_job(),
            joined({{says("Label of the a: a0", "a0"), says("Label of the b: b0", "\"b0\"")},
                    world()}));
    EXPECT_THAT(same.layers[0].candidates, SizeIs(1));
}

// Layer 1 shows words, layer 2 has none.
TEST(WordsStep, LayerWithoutWordsHasNoProposalOfThem) {
    Job job = words_job(2);
    job.train.proposals.templates.push_back({.name = "new_words_few_shot", .text = ""});
    job.train.candidates = 4;
    job.network.layers.push_back(testing::layer_of("A", "L2 {{prompt}} [{{input}}]"));
    job.network.layers[0].max_tokens = 4;
    job.train.posterior.samples = 1;
    job.train.posterior.templates = {
        {.name = "a", .text = "Q1 {{target}}", .messages = {}, .chat = false}};
    const StepRecord record =
        run(job, {says("Q1 yes", "good"), says("Q1 no", "bad"), says("Label of", "New")});
    ASSERT_THAT(record.layers, SizeIs(2));
    EXPECT_THAT(record.layers[0].candidates, SizeIs(4));
    EXPECT_THAT(record.layers[1].candidates, SizeIs(1));
    EXPECT_EQ(record.failures, 0);
}

// ---- runs ----------------------------------------------------------------------------------------

// The good words are two changes apart, and a step tries one: the first has to be kept.
TEST(WordsRun, FindsTheWordsThatNoPromptMakesUpFor) {
    Job job = words_job(1);
    job.train.steps = 12;
    Bench bench(job, {weather(20), {}, {}}, world());
    TrainState state = bench.initial();
    StepRecord record;
    for (; state.steps_done < job.train.steps; ++state.steps_done) {
        record = run_step(bench.context(), state);
        state.current = chosen_parameters(record, state.current);
    }
    EXPECT_EQ(state.current, (NetworkParameters{{"P", 0, {"a2", "b1"}}}));
    EXPECT_THAT(record.forward, Each(::testing::Field(&ExampleOutcome::right, true)));
}

// What a plan of the job foretells, beside what its steps use.
void expect_plan_within_a_tenth(const Job& job) {
    const std::vector<Dataset> splits{weather(40), Dataset(), Dataset()};
    Bench bench(job, splits, std::vector<std::string>{});
    const TrainContext context = bench.context();
    const Plan plan = make_plan(job, context.network, splits, context.backward, context.backward,
                                {.engine = &context.engine, .drawn_scores = 5000.0});
    TrainState state = bench.initial();
    double used = 0.0;
    for (; state.steps_done < job.train.steps; ++state.steps_done) {
        const StepRecord record = run_step(context, state);
        used += static_cast<double>(record.usage.calls);
        state.current = chosen_parameters(record, state.current);
    }
    EXPECT_NEAR(plan.training.expected.sum().requests / used, 1.0, 0.1);
    EXPECT_GE(plan.training.most.sum().requests, used);
}

TEST(WordsPlan, ForetellsASearchOfWords) {
    Job job = words_job(3);
    job.train.steps = 3;
    expect_plan_within_a_tenth(job);
}

TEST(WordsPlan, ForetellsAJobThatKeepsItsFirstWords) {
    Job job = words_job(3);
    job.train.steps = 3;
    job.train.proposals.templates = {{.name = "edit"}};
    expect_plan_within_a_tenth(job);
}

}  // namespace
}  // namespace dln
