#include "train/course.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace dln {
namespace {

// Every evaluation costs a request for each example; a forward pass asks for texts.
PlannedWork a_request_an_example(PlannedMeasure what,
                                 const PlannedPrompt& /*prompt*/,
                                 std::size_t /*template_index*/,
                                 const ExampleSums& examples) {
    PlannedWork work;
    (what == PlannedMeasure::forward ? work.texts : work.scores).requests = examples.count;
    return work;
}

/// Steps over the same 8 examples; `candidates` - 1 proposals of a request each.
CourseSpec spec_of(std::size_t steps, std::size_t candidates) {
    CourseSpec spec;
    spec.train.candidates = candidates;
    spec.initial = {{10.0, false}};
    spec.proposed = {{20.0, true}};
    spec.cost = a_request_an_example;
    spec.steps.assign(steps, {.ranked_on = {0, 1, 2, 3, 4, 5, 6, 7},
                              .batch = {.count = 8.0},
                              .ranked = {.count = 8.0},
                              .proposals = {static_cast<double>(candidates - 1), 0.0, 0.0}});
    return spec;
}

Course run(const CourseSpec& spec, double spread = 0.0, std::uint64_t seed = 1) {
    CounterRng random({.seed = seed, .role = RandomRole::plan});
    return simulate_course(spec, spread, random);
}

TEST(Course, IncumbentAloneIsScoredOnceAStep) {
    EXPECT_DOUBLE_EQ(run(spec_of(3, 1)).steps.scores.requests, 24.0);
}

TEST(Course, EveryUsableProposalIsScored) {
    const Course course = run(spec_of(3, 5));
    EXPECT_DOUBLE_EQ(course.steps.scores.requests, 3 * 5 * 8.0);
    EXPECT_DOUBLE_EQ(course.steps.texts.requests, 3 * 4.0);
}

TEST(Course, FirstStepComparesThePromptsThatItIsKnownToPropose) {
    CourseSpec spec = spec_of(1, 5);
    spec.proposed = {{20.0, true}, {40.0, true}};
    double bytes = 0.0;
    spec.cost = [&](PlannedMeasure what, const PlannedPrompt& prompt, std::size_t t,
                    const ExampleSums& sums) {
        bytes += prompt.bytes;
        return a_request_an_example(what, prompt, t, sums);
    };
    spec.first_step = {1, std::nullopt, 1, 0};
    const Course course = run(spec);
    EXPECT_DOUBLE_EQ(course.candidates, 4.0);
    EXPECT_DOUBLE_EQ(bytes, 10.0 + 40.0 + 40.0 + 20.0);
}

TEST(Course, PromptThatWasMeasuredOnTheWholeBatchWinsByItsScore) {
    CourseSpec spec = spec_of(1, 2);
    spec.first_step = {0};
    spec.measured_on = 8.0;
    for (const double incumbent : {-0.1, 0.1}) {
        spec.initial.front().measured = incumbent;
        spec.proposed.front().measured = 0.0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            EXPECT_DOUBLE_EQ(run(spec, 1.0, seed).wins, incumbent < 0.0 ? 1.0 : 0.0);
        }
    }
}

TEST(Course, PromptThatWasMeasuredOnSomeExamplesWinsMoreOften) {
    CourseSpec spec = spec_of(1, 2);
    spec.first_step = {0};
    spec.measured_on = 4.0;
    spec.initial.front().measured = -1.0;
    spec.proposed.front().measured = 1.0;
    double wins = 0.0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) wins += run(spec, 1.0, seed).wins;
    EXPECT_GT(wins, 75.0);
    EXPECT_LT(wins, 100.0);
}

TEST(Course, UnusableProposalsArePaidButNotScored) {
    CourseSpec spec = spec_of(3, 5);
    spec.usable = 0.0;
    const Course course = run(spec);
    EXPECT_DOUBLE_EQ(course.steps.scores.requests, 24.0);
    EXPECT_DOUBLE_EQ(course.steps.texts.requests, 12.0);
}

TEST(Course, ForwardPassThatIsNoScoreIsPaid) {
    CourseSpec spec = spec_of(3, 1);
    spec.forward_is_score = false;
    EXPECT_DOUBLE_EQ(run(spec).steps.texts.requests, 24.0);
}

TEST(Course, TemplatesAreTriedWhileThePromptIsNew) {
    CourseSpec spec = spec_of(3, 1);
    spec.templates = 4;
    EXPECT_DOUBLE_EQ(run(spec).steps.scores.requests, (4 + 1 + 1) * 8.0);
}

TEST(Course, AllInitialPromptsAreCandidatesOfTheFirstStep) {
    CourseSpec spec = spec_of(2, 1);
    spec.initial = {{10.0, false}, {12.0, false}, {14.0, false}};
    EXPECT_DOUBLE_EQ(run(spec).steps.scores.requests, (3 + 1) * 8.0);
}

TEST(Course, IncumbentThatIsInMemoryIsScoredOnce) {
    CourseSpec spec = spec_of(2, 1);
    spec.train.memory = 2;
    spec.dev = {.count = 5.0};
    EXPECT_DOUBLE_EQ(run(spec).steps.scores.requests, 16.0);
}

TEST(Course, KnownDevResultIsNotPaidAgain) {
    CourseSpec spec = spec_of(4, 1);
    spec.dev = {.count = 5.0};
    EXPECT_DOUBLE_EQ(run(spec).dev.scores.requests, 5.0);
    EXPECT_DOUBLE_EQ(run(spec).dev_evaluations, 1.0);
}

TEST(Course, DevIsNotPaidWithoutRoundsOrSplit) {
    CourseSpec spec = spec_of(4, 3);
    EXPECT_DOUBLE_EQ(run(spec).dev.scores.requests, 0.0);
    spec.dev = {.count = 5.0};
    spec.train.eval_initial = false;
    spec.train.eval_every = 4;
    EXPECT_DOUBLE_EQ(run(spec).dev.scores.requests, 5.0);
}

TEST(Course, ContentFreeInputsArePaidOnceACandidateOfAStepAndOnceAnEvaluation) {
    CourseSpec spec = spec_of(3, 5);
    spec.content_free = {.count = 2.0};
    spec.dev = {.count = 5.0};
    spec.test = {.count = 7.0};
    const Course course = run(spec);
    EXPECT_DOUBLE_EQ(course.steps.scores.requests, 3 * 5 * (8.0 + 2.0));
    EXPECT_DOUBLE_EQ(course.dev.scores.requests, course.dev_evaluations * (5.0 + 2.0));
    EXPECT_DOUBLE_EQ(std::fmod(course.test.scores.requests, 7.0 + 2.0), 0.0);
    const Course most = most_of_course(spec);
    EXPECT_DOUBLE_EQ(most.steps.scores.requests, 3 * 5 * (8.0 + 2.0));
    EXPECT_DOUBLE_EQ(most.test.scores.requests, 2 * (7.0 + 2.0));
}

TEST(Course, ContentFreeInputsOfAKnownCandidateAreRecalled) {
    CourseSpec spec = spec_of(3, 1);
    spec.content_free = {.count = 2.0};
    spec.recalls_calibration = true;
    const Course course = run(spec);
    EXPECT_DOUBLE_EQ(course.steps.scores.requests, 3 * 8.0 + 2.0);
    EXPECT_DOUBLE_EQ(course.recalled.scores.requests, 2 * 2.0);
}

TEST(Course, RecalledScoresCostNothing) {
    CourseSpec spec = spec_of(3, 1);
    spec.recalls_scores = true;
    spec.steps[2].ranked_on = {0, 1, 2, 3, 10, 11, 12, 13};
    const Course course = run(spec);
    EXPECT_DOUBLE_EQ(course.steps.scores.requests, 8.0 + 0.0 + 4.0);
    EXPECT_DOUBLE_EQ(course.recalled.scores.requests, 8.0 + 4.0);
}

TEST(Course, TestIsPaidOnceWhileNothingWasLearned) {
    CourseSpec spec = spec_of(2, 1);
    spec.test = {.count = 7.0};
    EXPECT_DOUBLE_EQ(run(spec).test.scores.requests, 7.0);
    spec = spec_of(1, 50);
    spec.test = {.count = 7.0};
    ASSERT_DOUBLE_EQ(run(spec).wins, 1.0);
    EXPECT_DOUBLE_EQ(run(spec).test.scores.requests, 14.0);
}

TEST(Course, NobodyWinsWhereNobodyIsRight) {
    CourseSpec spec = spec_of(5, 6);
    spec.counts_right = true;
    spec.right = 0.0;
    EXPECT_DOUBLE_EQ(run(spec).wins, 0.0);
}

TEST(Course, NoProposalsAreAskedForWhereAllAreRight) {
    CourseSpec spec = spec_of(5, 6);
    spec.counts_right = true;
    spec.right = 1.0;
    EXPECT_DOUBLE_EQ(run(spec).steps.texts.requests, 0.0);
    EXPECT_DOUBLE_EQ(run(spec).steps.scores.requests, 40.0);
}

TEST(Course, ChanceAloneMakesAllCandidatesEquallyLikelyToWin) {
    EXPECT_NEAR(run(spec_of(1000, 5)).wins / 1000.0, 4.0 / 5.0, 0.04);
}

TEST(Course, ClearDifferencesLetTheIncumbentStay) {
    // Every step would have to bring the best prompt so far: 4/5 + 4/9 + 4/13 + ...
    double wins = 0.0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) wins += run(spec_of(5, 5), 50.0, seed).wins;
    EXPECT_NEAR(wins / 100.0, 4.0 / 5 + 4.0 / 9 + 4.0 / 13 + 4.0 / 17 + 4.0 / 21, 0.3);
}

TEST(MostOfCourse, CountsEveryCandidateAsNew) {
    CourseSpec spec = spec_of(2, 5);
    spec.train.memory = 2;
    spec.train.eval_candidates = 2;
    spec.templates = 3;
    spec.initial.push_back({12.0, false});
    spec.dev = {.count = 6.0};
    spec.test = {.count = 7.0};
    const Course most = most_of_course(spec);
    // Incumbent, memory, two more templates, proposals; in the first step the other initial prompt.
    EXPECT_DOUBLE_EQ(most.steps.scores.requests, (10 + 9) * 8.0);
    EXPECT_DOUBLE_EQ(most.steps.texts.requests, 2 * 4.0);
    EXPECT_DOUBLE_EQ(most.dev.scores.requests, (1 + 2 * 2) * 6.0);
    EXPECT_DOUBLE_EQ(most.test.scores.requests, 14.0);
}

TEST(MostOfCourse, NoCourseNeedsMore) {
    CourseSpec spec = spec_of(6, 4);
    spec.train.memory = 2;
    spec.train.eval_candidates = 2;
    spec.train.eval_every = 4;
    spec.train.tolerance = 1;
    spec.templates = 3;
    spec.dev = {.count = 6.0};
    const Course most = most_of_course(spec);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        const Course course = run(spec, seed % 2 == 0 ? 0.0 : 2.0, seed);
        EXPECT_LE(course.steps.scores.requests, most.steps.scores.requests);
        EXPECT_LE(course.dev.scores.requests, most.dev.scores.requests);
    }
}

}  // namespace
}  // namespace dln
