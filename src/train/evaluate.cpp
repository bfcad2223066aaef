#include "dln/train/evaluate.hpp"

#include <algorithm>
#include <numeric>
#include <span>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"
#include "dln/network/scores.hpp"

namespace dln {
namespace {

ExampleOutcome class_outcome(const Network& network,
                             std::span<const std::int64_t> cells,
                             std::string_view target) {
    std::vector<double> raw;
    for (const std::int64_t cell : cells.first(cells.size() - 1)) {
        raw.push_back(from_fixed_point(cell));
    }
    const std::size_t wanted = network.class_index(target);
    ExampleOutcome outcome{.measured = true,
                           .right = false,
                           .score = 0,
                           .log_likelihood = 0,
                           .predicted = predicted_class(raw),
                           .class_log_probs = normalise_classes(raw)};
    outcome.right = outcome.predicted == wanted;
    outcome.log_likelihood = to_fixed_point(outcome.class_log_probs[wanted]);
    outcome.score = network.scoring().objective == Objective::accuracy
                        ? to_fixed_point(outcome.right ? 1.0 : 0.0)
                        : outcome.log_likelihood;
    return outcome;
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
                      std::vector<TaskId> needs) {
    const std::size_t classes = network.classes().size();
    const std::size_t cells = what.examples.size() * cells_an_example(what.measure, classes);
    const std::size_t block = network.scoring().block;
    return graph.add({.needs = std::move(needs),
                      .expand = [what = std::move(what), block,
                                 classes] { return make_evaluate_units(what, block, classes); },
                      .cells = cells});
}

std::vector<ExampleOutcome> read_outcomes(const Network& network,
                                          Measure measure,
                                          const std::vector<std::int64_t>& table,
                                          const Dataset& split,
                                          const std::vector<std::uint64_t>& examples) {
    const std::size_t width = cells_an_example(measure, network.classes().size());
    DLN_ASSERT(table.size() == width * examples.size(), "{} cells for {} examples", table.size(),
               examples.size());
    std::vector<ExampleOutcome> outcomes(examples.size());
    for (std::size_t i = 0; i < examples.size(); ++i) {
        const auto cells = std::span(table).subspan(i * width, width);
        DLN_ASSERT(cells.back() == 0 || cells.back() == 1, "example {} was measured {} times",
                   examples[i], cells.back());
        if (cells.back() == 0) continue;
        if (measure == Measure::classes) {
            outcomes[i] = class_outcome(network, cells, split[examples[i]].target);
        } else {
            outcomes[i].measured = true;
            outcomes[i].score = cells[0];
            if (measure == Measure::target) outcomes[i].log_likelihood = cells[0];
            outcomes[i].right = measure == Measure::correct && cells[0] > 0;
        }
    }
    return outcomes;
}

Evaluation summarise(Measure measure,
                     const std::vector<ExampleOutcome>& outcomes,
                     const TaskResult& result) {
    Evaluation evaluation{.examples = outcomes.size()};
    evaluation.has_log_likelihood = measure != Measure::correct;
    evaluation.has_accuracy = measure != Measure::target;
    evaluation.usage = result.usage;
    evaluation.failures = result.failures;
    evaluation.first_failure = result.first_failure;
    for (const ExampleOutcome& outcome : outcomes) {
        evaluation.measured += outcome.measured ? 1 : 0;
        evaluation.right += outcome.right ? 1 : 0;
        evaluation.right_by_example.push_back(outcome.right);
        evaluation.log_likelihood_sum += outcome.log_likelihood;
    }
    return evaluation;
}

std::vector<Evaluation> evaluate_split(Engine& engine,
                                       const Network& network,
                                       const std::vector<Dataset>& splits,
                                       std::size_t split,
                                       const std::vector<NetworkParameters>& parameters,
                                       std::uint64_t step) {
    TaskGraph graph;
    const Measure measure = measure_for_evaluation(network);
    const std::vector<std::uint64_t> examples = all_examples(splits[split]);
    std::vector<TaskId> tasks;
    for (const NetworkParameters& each : parameters) {
        tasks.push_back(add_evaluation(graph, network,
                                       {.parameters = each,
                                        .measure = measure,
                                        .split = split,
                                        .examples = examples,
                                        .step = step,
                                        .want_texts = false}));
    }
    engine.run(graph);
    std::vector<Evaluation> evaluations;
    for (const TaskId task : tasks) {
        const TaskResult& result = graph.result(task);
        evaluations.push_back(summarise(
            measure, read_outcomes(network, measure, result.table, splits[split], examples),
            result));
    }
    return evaluations;
}

std::vector<std::uint64_t> all_examples(const Dataset& split) {
    std::vector<std::uint64_t> examples(split.size());
    std::iota(examples.begin(), examples.end(), 0);
    return examples;
}

}  // namespace dln
