#include "dln/train/evaluate.hpp"

#include <algorithm>
#include <numeric>
#include <span>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"
#include "dln/network/scores.hpp"

#include "train/routes.hpp"

namespace dln {
namespace {

ExampleOutcome class_outcome(const Network& network,
                             ClassLogProbs log_probs,
                             std::string_view target) {
    const std::size_t wanted = network.class_index(target);
    ExampleOutcome outcome{.measured = true};
    outcome.log_likelihood = to_fixed_point(log_probs[wanted]);
    outcome.predicted = predicted_class(log_probs);
    outcome.class_log_probs = std::move(log_probs);
    outcome.right = outcome.predicted == wanted;
    outcome.score = network.scoring().objective == Objective::accuracy
                        ? to_fixed_point(outcome.right ? 1.0 : 0.0)
                        : outcome.log_likelihood;
    return outcome;
}

std::vector<ExampleOutcome> class_outcomes(const Network& network,
                                           std::vector<ClassLogProbs> rows,
                                           const Dataset& split,
                                           const std::vector<std::uint64_t>& examples,
                                           std::span<const double> class_log_prior) {
    std::vector<ExampleOutcome> outcomes(rows.size());
    if (is_calibrated(network) && class_log_prior.empty()) return outcomes;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].empty()) continue;
        if (is_calibrated(network)) rows[i] = calibrated(rows[i], class_log_prior);
        outcomes[i] = class_outcome(network, std::move(rows[i]), split[examples[i]].target);
    }
    return outcomes;
}

// The cells of each example. Pre: the table is one of `measure`.
std::vector<std::span<const std::int64_t>> rows_of(const Network& network,
                                                   Measure measure,
                                                   const std::vector<std::int64_t>& table) {
    const std::size_t width = cells_an_example(measure, network.classes().size());
    DLN_ASSERT(table.size() % width == 0, "{} cells, {} for an example", table.size(), width);
    std::vector<std::span<const std::int64_t>> rows;
    for (std::size_t first = 0; first < table.size(); first += width) {
        rows.push_back(std::span(table).subspan(first, width));
        DLN_ASSERT(rows.back().back() == 0 || rows.back().back() == 1,
                   "example {} of the table was measured {} times", rows.size() - 1,
                   rows.back().back());
    }
    return rows;
}

Evaluation summarise(Measure measure, EvaluationReading reading) {
    Evaluation evaluation{.examples = reading.outcomes.size()};
    evaluation.has_log_likelihood = measure != Measure::correct;
    evaluation.has_accuracy = measure != Measure::target;
    evaluation.class_log_prior = std::move(reading.class_log_prior);
    evaluation.usage = reading.usage;
    evaluation.failures = reading.failures;
    evaluation.first_failure = std::move(reading.first_failure);
    for (const ExampleOutcome& outcome : reading.outcomes) {
        evaluation.measured += outcome.measured ? 1 : 0;
        evaluation.right += outcome.right ? 1 : 0;
        evaluation.right_by_example.push_back(outcome.right);
        evaluation.log_likelihood_sum += outcome.log_likelihood;
    }
    return evaluation;
}

}  // namespace

double Evaluation::accuracy() const {
    return examples == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(examples);
}

double Evaluation::log_likelihood() const {
    return measured == 0 ? 0.0
                         : from_fixed_point(log_likelihood_sum) / static_cast<double>(measured);
}

Measure measure_for(const Network& network) {
    const Objective objective = network.scoring().objective;
    if (objective == Objective::log_prob) return Measure::target;
    return network.has_classes() ? Measure::classes : Measure::correct;
}

Measure measure_for_evaluation(const Network& network) {
    if (network.has_classes()) return Measure::classes;
    return measure_for(network);
}

TaskId add_evaluation(TaskGraph& graph,
                      const Network& network,
                      EvaluateUnit what,
                      const InputEmbeddings* inputs,
                      std::vector<TaskId> needs) {
    if (is_routed(what.parameters)) {
        return add_routed_evaluation(graph, network, std::move(what), inputs, std::move(needs));
    }
    const std::size_t classes = network.classes().size();
    const std::size_t cells = what.examples.size() * cells_an_example(what.measure, classes);
    const std::size_t block = network.scoring().block;
    return graph.add({.needs = std::move(needs),
                      .expand = [what = std::move(what), block,
                                 classes] { return make_evaluate_units(what, block, classes); },
                      .cells = cells});
}

std::optional<TaskId> add_content_free(TaskGraph& graph,
                                       const Network& network,
                                       const LayerParameters& parameters,
                                       const ContentFreeTask& how) {
    if (network.scoring().calibration != Calibration::content_free) return std::nullopt;
    const std::vector<std::string>& inputs = network.scoring().content_free_inputs;
    const std::size_t last = network.depth() - 1;
    LayerUnit unit{.layer = last,
                   .parameters = parameters,
                   .measure = Measure::classes,
                   .without_residual = how.without_residual,
                   .content_free = true};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        unit.items.push_back({.example = i, .latents = std::vector(last, inputs[i])});
    }
    const std::size_t classes = network.classes().size();
    const std::size_t block = network.scoring().block;
    return graph.add({.needs = {},
                      .expand = [unit = std::move(unit), block,
                                 classes] { return make_layer_units(unit, block, classes); },
                      .cells = inputs.size() * cells_an_example(Measure::classes, classes),
                      .can_wait = how.can_wait});
}

bool is_calibrated(const Network& network) {
    return network.scoring().calibration != Calibration::none;
}

std::vector<ClassLogProbs> read_classes(const Network& network,
                                        const std::vector<std::int64_t>& table) {
    std::vector<ClassLogProbs> classes;
    for (const auto cells : rows_of(network, Measure::classes, table)) {
        ClassLogProbs& row = classes.emplace_back();
        if (cells.back() == 0) continue;
        for (const std::int64_t cell : cells.first(cells.size() - 1)) {
            row.push_back(from_fixed_point(cell));
        }
        row = normalise_classes(row);
    }
    return classes;
}

ClassLogProbs class_prior_for(const Network& network,
                              const TaskGraph& graph,
                              std::span<const ClassLogProbs> rows,
                              std::optional<TaskId> content_free) {
    switch (network.scoring().calibration) {
        case Calibration::none:
            return {};
        case Calibration::batch:
            return class_log_prior(rows);
        case Calibration::content_free:
            DLN_ASSERT(content_free, "content-free inputs were not scored");
            return class_log_prior(read_classes(network, graph.result(*content_free).table));
    }
    throw InternalError("unknown calibration");
}

std::vector<ExampleOutcome> read_outcomes(const Network& network,
                                          Measure measure,
                                          const std::vector<std::int64_t>& table,
                                          const Dataset& split,
                                          const std::vector<std::uint64_t>& examples,
                                          std::span<const double> class_log_prior) {
    const auto rows = rows_of(network, measure, table);
    DLN_ASSERT(rows.size() == examples.size(), "a table of {} examples for {}", rows.size(),
               examples.size());
    if (measure == Measure::classes) {
        return class_outcomes(network, read_classes(network, table), split, examples,
                              class_log_prior);
    }
    std::vector<ExampleOutcome> outcomes(examples.size());
    for (std::size_t i = 0; i < examples.size(); ++i) {
        if (rows[i].back() == 0) continue;
        outcomes[i].measured = true;
        outcomes[i].score = rows[i][0];
        if (measure == Measure::target) outcomes[i].log_likelihood = rows[i][0];
        outcomes[i].right = measure == Measure::correct && rows[i][0] > 0;
    }
    return outcomes;
}

EvaluationTasks add_calibrated_evaluation(TaskGraph& graph,
                                          const Network& network,
                                          EvaluateUnit what,
                                          const InputEmbeddings* inputs) {
    const std::optional<TaskId> content_free =
        add_content_free(graph, network, what.parameters.back());
    return {.examples = add_evaluation(graph, network, std::move(what), inputs),
            .content_free = content_free};
}

EvaluationReading read_evaluation(const Network& network,
                                  const TaskGraph& graph,
                                  const EvaluationTasks& tasks,
                                  Measure measure,
                                  const Dataset& split,
                                  const std::vector<std::uint64_t>& examples) {
    EvaluationReading reading;
    const TaskResult& result = graph.result(tasks.examples);
    if (is_calibrated(network)) {
        reading.class_log_prior = class_prior_for(
            network, graph, read_classes(network, result.table), tasks.content_free);
    }
    reading.outcomes =
        read_outcomes(network, measure, result.table, split, examples, reading.class_log_prior);
    const auto count = [&reading](const TaskResult& one) {
        reading.usage += one.usage;
        reading.failures += one.failures;
        if (reading.first_failure.empty()) reading.first_failure = one.first_failure;
    };
    count(result);
    if (tasks.content_free) count(graph.result(*tasks.content_free));
    return reading;
}

std::vector<Evaluation> evaluate_split(Engine& engine,
                                       const Network& network,
                                       const std::vector<Dataset>& splits,
                                       std::size_t split,
                                       const std::vector<NetworkParameters>& parameters,
                                       std::uint64_t step,
                                       const InputEmbeddings* inputs) {
    TaskGraph graph;
    const Measure measure = measure_for_evaluation(network);
    const std::vector<std::uint64_t> examples = all_examples(splits[split]);
    std::vector<EvaluationTasks> tasks;
    for (const NetworkParameters& each : parameters) {
        tasks.push_back(add_calibrated_evaluation(graph, network,
                                                  {.parameters = each,
                                                   .measure = measure,
                                                   .split = split,
                                                   .examples = examples,
                                                   .step = step,
                                                   .want_texts = false},
                                                  inputs));
    }
    engine.run(graph);
    std::vector<Evaluation> evaluations;
    for (const EvaluationTasks& each : tasks) {
        evaluations.push_back(summarise(
            measure, read_evaluation(network, graph, each, measure, splits[split], examples)));
    }
    return evaluations;
}

std::vector<std::uint64_t> all_examples(const Dataset& split) {
    std::vector<std::uint64_t> examples(split.size());
    std::iota(examples.begin(), examples.end(), 0);
    return examples;
}

}  // namespace dln
