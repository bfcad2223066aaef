#include "dln/train/state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

/// Dev results over 10 examples.
DevResult dev(std::int64_t right, std::int64_t sum, std::int64_t measured = 10) {
    return {.right = right, .examples = 10, .measured = measured, .log_likelihood_sum = sum};
}

Evaluated evaluated(const std::string& prompt, std::int64_t sum) {
    return {.parameters = {{prompt, 0}}, .dev = dev(5, sum)};
}

std::vector<std::string> prompts_of(const TrainState& state) {
    std::vector<std::string> prompts;
    for (const Evaluated& entry : state.memory) prompts.push_back(entry.parameters[0].prompt);
    return prompts;
}

/// Remembers them one after another, the two best.
TrainState remembering(const std::vector<Evaluated>& entries, std::size_t capacity = 2) {
    TrainState state;
    for (const Evaluated& entry : entries) {
        remember(state, entry, capacity, Objective::class_log_prob);
    }
    return state;
}

TEST(IsBetter, FollowsTheObjectiveAndBreaksTiesByTheOther) {
    for (const Objective objective : {Objective::class_log_prob, Objective::log_prob}) {
        EXPECT_TRUE(is_better(dev(4, -10), dev(9, -20), objective));
        EXPECT_TRUE(is_better(dev(5, -10), dev(4, -10), objective));
    }
    EXPECT_TRUE(is_better(dev(9, -20), dev(4, -10), Objective::accuracy));
    EXPECT_TRUE(is_better(dev(4, -10), dev(4, -20), Objective::accuracy));
}

TEST(IsBetter, EqualIsNotBetter) {
    for (const Objective objective : {Objective::class_log_prob, Objective::accuracy}) {
        EXPECT_FALSE(is_better(dev(4, -10), dev(4, -10), objective));
    }
}

// A sum over fewer examples is higher: failing must not pay.
TEST(IsBetter, FewerFailuresComeFirst) {
    EXPECT_FALSE(is_better(dev(0, 0, 0), dev(0, -900, 10), Objective::log_prob));
    EXPECT_TRUE(is_better(dev(3, -30, 10), dev(9, -20, 9), Objective::class_log_prob));
}

TEST(DevResult, MeansAreOverAllExamplesAndOverTheMeasured) {
    const DevResult result = dev(3, -(std::int64_t{8} << 32), 4);
    EXPECT_DOUBLE_EQ(result.accuracy(), 0.3);
    EXPECT_DOUBLE_EQ(result.log_likelihood(), -2.0);
    EXPECT_DOUBLE_EQ(DevResult{}.accuracy(), 0.0);
    EXPECT_DOUBLE_EQ(DevResult{}.log_likelihood(), 0.0);
}

TEST(Remember, KeepsTheBestInOrder) {
    const TrainState state =
        remembering({evaluated("b", -20), evaluated("c", -30), evaluated("a", -10)});
    EXPECT_THAT(prompts_of(state), ElementsAre("a", "b"));
}

TEST(Remember, ForgetsWhatIsWorseThanAFullMemory) {
    const TrainState state =
        remembering({evaluated("a", -10), evaluated("b", -20), evaluated("c", -30)});
    EXPECT_THAT(prompts_of(state), ElementsAre("a", "b"));
}

TEST(Remember, HasEachParametersOnce) {
    const TrainState state =
        remembering({evaluated("a", -10), evaluated("b", -20), evaluated("a", -10)});
    EXPECT_THAT(prompts_of(state), ElementsAre("a", "b"));
}

TEST(Remember, TakesTheNewResultOfTheSameParameters) {
    const TrainState state =
        remembering({evaluated("a", -30), evaluated("b", -20), evaluated("a", -10)});
    EXPECT_THAT(prompts_of(state), ElementsAre("a", "b"));
    EXPECT_EQ(state.memory[0].dev.log_likelihood_sum, -10);
}

TEST(Remember, OlderComesFirstAmongEquals) {
    EXPECT_THAT(prompts_of(remembering({evaluated("a", -10), evaluated("b", -10)})),
                ElementsAre("a", "b"));
}

TEST(Remember, NothingWithoutCapacity) {
    EXPECT_THAT(remembering({evaluated("a", -10)}, 0).memory, IsEmpty());
}

TEST(NoteTried, KeepsTheBestWithTheirNewestScores) {
    std::vector<TriedPrompt> history;
    for (const TriedPrompt& tried :
         {TriedPrompt{"a", 10}, {"b", 30}, {"c", 20}, {"b", 5}, {"d", 20}}) {
        note_tried(history, tried, 3);
    }
    EXPECT_THAT(history,
                ElementsAre(TriedPrompt{"c", 20}, TriedPrompt{"d", 20}, TriedPrompt{"a", 10}));
}

TrainState full_state() {
    const NetworkParameters odd{{std::string("a\0b\xff {{x}}\n", 12), 1}, {"", 0}};
    return {.steps_done = 7,
            .current = odd,
            .best = {{odd, dev(4, -(1LL << 50), 9)}},
            .best_step = 5,
            .memory = {{{{"m", 0}, {"n", 2}}, dev(3, -7)}, {odd, dev(2, -8)}},
            .tried_in_templates = {"P"},
            .history = {{}, {{"best", 81.5}, {"next", 3.25}}},
            .without_gain = 2,
            .noise_floor = 1.0 / 3.0,
            .usage = {1, 2, 3, 4, 5, 6, 7, 8}};
}

TEST(State, ComesBackFromAStepDocument) {
    StepDocument document;
    write_state(full_state(), document);
    EXPECT_TRUE(read_state(document) == full_state());
}

TEST(State, ClassPriorsOfDevComeBack) {
    TrainState state = full_state();
    state.best[0].dev.class_log_prior = {-0.25, -1.5};
    state.memory[1].dev.class_log_prior = {-1000.5, 0.0};  // the other failed
    StepDocument document;
    write_state(state, document);
    EXPECT_TRUE(read_state(document) == state);
    document.arrays["state/memory/dev_class_log_prior"] =
        Array::table(1, 2, std::vector<double>{-1.0, -1.0});
    EXPECT_THAT([&] { (void)read_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/memory/dev_class_log_prior")));
}

TEST(State, WordsOfLayersComeBack) {
    TrainState state = full_state();
    const auto give = [](NetworkParameters& network) {
        network[1].words = {"Text", std::string("\0\xff", 2), ""};
    };
    give(state.current);
    give(state.best[0].parameters);
    for (Evaluated& entry : state.memory) give(entry.parameters);
    state.memory[0].parameters[1].words[0] = "Review";
    StepDocument document;
    write_state(state, document);
    EXPECT_TRUE(read_state(document) == state);
    EXPECT_THAT(document.integers("state/memory/word_layers"), ElementsAre(1, 1, 1));
    document.arrays["state/memory/word_layers"] = Array::list(std::vector<std::int64_t>{1, 2, 1});
    EXPECT_THAT([&] { (void)read_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/memory/word_layers")));
    document.arrays["state/memory/word_layers"] = Array::list(std::vector<std::int64_t>{1});
    EXPECT_THAT([&] { (void)read_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/memory/words")));
}

TEST(State, ComesBackBeforeAnythingIsKnown) {
    TrainState state;
    state.current = {{"P", 0}};
    StepDocument document;
    write_state(state, document);
    EXPECT_TRUE(read_state(document) == state);
}

TEST(State, UsageOfABackwardModelComesBackWhereThereIsOne) {
    TrainState state = full_state();
    StepDocument one;
    write_state(state, one);
    EXPECT_FALSE(one.contains("state/backward/calls"));
    state.backward_usage =
        Usage{.calls = 1, .generated_tokens = 2, .requests = 3, .prompt_tokens = 4};
    StepDocument two;
    write_state(state, two);
    EXPECT_EQ(two.integer("timing/backward/prompt_tokens"), 4);
    EXPECT_TRUE(read_state(two) == state);
}

TEST(State, MissingPartIsACheckpointErrorThatNamesIt) {
    StepDocument whole;
    write_state(full_state(), whole);
    for (const auto& [path, array] : whole.arrays) {
        if (path == "timing/requests" || path == "timing/prompt_tokens" ||
            path == "timing/discarded_tokens") {
            continue;
        }
        StepDocument document = whole;
        document.arrays.erase(path);
        EXPECT_THAT([&] { (void)read_state(document); },
                    ThrowsMessage<CheckpointError>(HasSubstr(path)));
    }
}

TEST(State, FilesOfOlderProgramsKnowNoRequests) {
    StepDocument document;
    write_state(full_state(), document);
    document.arrays.erase("timing/requests");
    document.arrays.erase("timing/prompt_tokens");
    document.arrays.erase("timing/discarded_tokens");
    const TrainState state = read_state(document);
    EXPECT_EQ(state.usage.requests, 0);
    EXPECT_EQ(state.usage.prompt_tokens, 0);
    EXPECT_EQ(state.usage.discarded_tokens, 0);
}

TEST(State, TablesOfDifferentLengthsAreACheckpointError) {
    StepDocument document;
    write_state(full_state(), document);
    document.arrays["state/memory/dev_right"] = Array::list(std::vector<std::int64_t>{1});
    EXPECT_THAT([&] { (void)read_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/memory")));
    write_state(full_state(), document);
    document.arrays["state/current/template"] = Array::list(std::vector<std::int64_t>{1});
    EXPECT_THAT([&] { (void)read_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/current")));
}

}  // namespace
}  // namespace dln
