#pragma once
// Evaluating parameters on examples: the task to compute, and what its table of cells means. Rank 0 only;
// pure but for the graph that tasks are added to.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/network_runner.hpp"
#include "dln/engine/task_graph.hpp"
#include "dln/network/calibration.hpp"
#include "dln/network/network.hpp"
#include "dln/train/input_embeddings.hpp"

namespace dln {

/// Positions in the list of splits that every rank holds.
enum SplitIndex : std::size_t { kTrainSplit = 0, kDevSplit = 1, kTestSplit = 2 };

/// What came of one example.
struct ExampleOutcome {
    bool measured = false;
    bool right = false;
    std::int64_t score = 0;           ///< the job's objective, fixed point; accuracy: 0 or 1
    std::int64_t log_likelihood = 0;  ///< of the target, fixed point; 0 when it is not measured
    std::size_t predicted = 0;        ///< class, in class jobs
    ClassLogProbs class_log_probs;    ///< in class jobs; calibrated where the job asks so
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
    ClassLogProbs class_log_prior;  ///< that it was calibrated by; empty: by none
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

/// Adds an evaluation to the graph; its result's table is for read_outcomes. In mixture layers each example goes to
/// the expert that the gate finds most probable, and with prediction by mixture to all of the last layer's: then the
/// result holds the mixture's class log-probabilities. `inputs` are what gates see; null: nothing, in networks
/// without mixtures.
[[nodiscard]] TaskId add_evaluation(TaskGraph& graph,
                                    const Network& network,
                                    EvaluateUnit what,
                                    const InputEmbeddings* inputs = nullptr,
                                    std::vector<TaskId> needs = {});

/// How content-free inputs are scored, see LayerUnit and Task.
struct ContentFreeTask {
    bool without_residual = false;
    bool can_wait = false;
};

/// With content-free calibration, adds the scores of the job's content-free inputs under the last layer's
/// `parameters`: each stands for x and for all latents before that layer. None with other jobs.
[[nodiscard]] std::optional<TaskId> add_content_free(TaskGraph& graph,
                                                     const Network& network,
                                                     const LayerParameters& parameters,
                                                     const ContentFreeTask& how = {});

[[nodiscard]] bool is_calibrated(const Network& network);

/// Reads a table of Measure::classes: as the model said them, not calibrated; empty where an example failed.
[[nodiscard]] std::vector<ClassLogProbs> read_classes(const Network& network,
                                                      const std::vector<std::int64_t>& table);

/// What `rows`, which are evaluated together, are calibrated by: their own mean, or that of the complete task of
/// add_content_free. Empty where the job does not calibrate, and where nothing was measured.
[[nodiscard]] ClassLogProbs class_prior_for(const Network& network,
                                            const TaskGraph& graph,
                                            std::span<const ClassLogProbs> rows,
                                            std::optional<TaskId> content_free);

/// Reads the table of an evaluation task: one outcome an example, in the order of `what.examples`. In jobs that
/// calibrate, no example is measured without a prior (of class_prior_for).
[[nodiscard]] std::vector<ExampleOutcome> read_outcomes(
    const Network& network,
    Measure measure,
    const std::vector<std::int64_t>& table,
    const Dataset& split,
    const std::vector<std::uint64_t>& examples,
    std::span<const double> class_log_prior = {});

/// An evaluation in a graph, and what calibrating it takes.
struct EvaluationTasks {
    TaskId examples = 0;
    std::optional<TaskId> content_free;
};
[[nodiscard]] EvaluationTasks add_calibrated_evaluation(TaskGraph& graph,
                                                        const Network& network,
                                                        EvaluateUnit what,
                                                        const InputEmbeddings* inputs = nullptr);

/// What the complete tasks of an evaluation say, calibrated on its own examples where the job asks so.
struct EvaluationReading {
    ClassLogProbs class_log_prior;
    std::vector<ExampleOutcome> outcomes;
    Usage usage;
    std::int64_t failures = 0;
    std::string first_failure;
};
[[nodiscard]] EvaluationReading read_evaluation(const Network& network,
                                                const TaskGraph& graph,
                                                const EvaluationTasks& tasks,
                                                Measure measure,
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
    std::uint64_t step,
    const InputEmbeddings* inputs = nullptr);

/// 0, 1, ... size-1.
[[nodiscard]] std::vector<std::uint64_t> all_examples(const Dataset& split);

}  // namespace dln
