#pragma once
// The course of a training run as its plan expects it: which candidates a step compares, who wins, what dev
// and test evaluate. The trainer's rules, with drawn scores in place of a model's. Pure; rank 0 only.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/request_cost.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/train/plan.hpp"

namespace dln {

/// Examples as far as they decide what evaluating them costs: sums over them.
struct ExampleSums {
    double count = 0.0;
    double input_bytes = 0.0;
    double target_bytes = 0.0;
};

/// A prompt as far as it decides that.
struct PlannedPrompt {
    double bytes = 0.0;
    bool is_proposed = false;
    std::size_t place = 0;  ///< of a proposed one, among those that are known
    /// How it did in its first template on examples of the first step, in units of a batch's noise around
    /// the mean of all that were measured; none: not measured.
    std::optional<double> measured = std::nullopt;
};

/// Makes each number of `most` at least as great as it is in `one`.
void raise(PlannedWork& most, const PlannedWork& one);

/// What evaluating a prompt in a template on examples costs, by what is measured.
enum class PlannedMeasure {
    forward,      ///< of the incumbent, where that is not its score
    score,        ///< of a candidate
    evaluation,   ///< on dev or test
    calibration,  ///< on content-free inputs
};
using EvaluationCost = std::function<PlannedWork(
    PlannedMeasure, const PlannedPrompt&, std::size_t template_index, const ExampleSums&)>;

struct CourseStep {
    std::vector<std::uint64_t> ranked_on;  ///< examples
    ExampleSums batch;
    ExampleSums ranked;
    RequestCost proposals;  ///< all of the step
};

struct CourseSpec {
    TrainSpec train;
    std::vector<CourseStep> steps;
    ExampleSums dev;   ///< none: no dev split
    ExampleSums test;  ///< none: no test split
    ExampleSums
        content_free;  ///< inputs that calibrate each candidate of a step, and each evaluation
    std::size_t templates = 1;
    std::vector<PlannedPrompt> initial;   ///< the layer's prompts; the first is the incumbent
    std::vector<PlannedPrompt> proposed;  ///< what proposals become; at least one
    double usable = 1.0;                  ///< share of proposals that become new candidates
    /// By proposal of the first step, as far as they are known: place in `proposed`; none: no candidate.
    std::vector<std::optional<std::size_t>> first_step;
    double measured_on = 0.0;  ///< examples that prompts were measured on
    bool forward_is_score = true;
    bool recalls_scores = false;       ///< a candidate's known examples are not paid in later steps
    bool recalls_calibration = false;  ///< nor are content-free inputs of a candidate
    bool recalls_evaluations = false;  ///< nor is a whole evaluation, when it comes again
    bool counts_right = false;         ///< the objective is accuracy
    double right = 0.5;                ///< share of right answers to begin with
    EvaluationCost cost;
};

struct Course {
    PlannedWork steps;
    PlannedWork dev;
    PlannedWork test;
    PlannedWork recalled;     ///< from the journal, so that nothing is paid; in none of the others
    double candidates = 0.0;  ///< scored in all steps
    double wins = 0.0;        ///< steps that replaced the incumbent
    double dev_evaluations = 0.0;
};

/// One run. `spread` says how much candidates differ in truth, in units of the noise that a batch leaves
/// in their scores: 0 when only chance tells them apart.
[[nodiscard]] Course simulate_course(const CourseSpec& spec, double spread, CounterRng& random);

/// No run can need more, for these sizes: every candidate is new, every template tried, every evaluation
/// paid.
[[nodiscard]] Course most_of_course(const CourseSpec& spec);

}  // namespace dln
