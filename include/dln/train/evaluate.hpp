#pragma once
// Evaluating parameters on examples: the task to compute, and what its table of cells means. Rank 0 only;
// pure but for the graph that tasks are added to.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/network_runner.hpp"
#include "dln/engine/task_graph.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// Positions in the list of splits that every rank holds.
enum SplitIndex : std::size_t { kTrainSplit = 0, kDevSplit = 1, kTestSplit = 2 };

/// What came of one example.
struct ExampleOutcome {
    bool measured = false;
    bool right = false;
    std::int64_t score = 0;               ///< the job's objective, fixed point; accuracy: 0 or 1
    std::int64_t log_likelihood = 0;      ///< of the target, fixed point; 0 when it is not measured
    std::size_t predicted = 0;            ///< class, in class jobs
    std::vector<double> class_log_probs;  ///< normalised, in class jobs
};

/// What an evaluation says of a split.
struct Evaluation {
    std::size_t examples = 0;
    std::size_t measured = 0;
    std::size_t right = 0;
    std::int64_t log_likelihood_sum = 0;  ///< fixed point; class-normalised in class jobs
    bool has_log_likelihood = false;
    bool has_accuracy = true;
    std::vector<bool> right_by_example;
    Usage usage;
    std::int64_t failures = 0;
    std::string first_failure;

    [[nodiscard]] double accuracy() const;        ///< failed examples count as wrong
    [[nodiscard]] double log_likelihood() const;  ///< mean over the measured, nats
};

/// What has to be measured to score a candidate under the job's objective.
[[nodiscard]] Measure measure_for(const Network& network);

/// What an evaluation for people measures: classes, else the target's score where that is the objective,
/// else right or wrong.
[[nodiscard]] Measure measure_for_evaluation(const Network& network);

/// Adds an evaluation to the graph; its result's table is for read_outcomes.
[[nodiscard]] TaskId add_evaluation(TaskGraph& graph,
                                    const Network& network,
                                    EvaluateUnit what,
                                    std::vector<TaskId> needs = {});

/// Reads the table of an evaluation task: one outcome an example, in the order of `what.examples`.
[[nodiscard]] std::vector<ExampleOutcome> read_outcomes(const Network& network,
                                                        Measure measure,
                                                        const std::vector<std::int64_t>& table,
                                                        const Dataset& split,
                                                        const std::vector<std::uint64_t>& examples);

/// Evaluates each of `parameters` on all of `split`, side by side in one graph, and sums them up, in their
/// order. Rank 0; the other ranks serve. `step` enters the random key of sampled outputs.
[[nodiscard]] std::vector<Evaluation> evaluate_split(
    Engine& engine,
    const Network& network,
    const std::vector<Dataset>& splits,
    std::size_t split,
    const std::vector<NetworkParameters>& parameters,
    std::uint64_t step);

/// Sums outcomes up.
[[nodiscard]] Evaluation summarise(Measure measure,
                                   const std::vector<ExampleOutcome>& outcomes,
                                   const TaskResult& result);

/// 0, 1, ... size-1.
[[nodiscard]] std::vector<std::uint64_t> all_examples(const Dataset& split);

}  // namespace dln
