#include "train/plan_spread.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dln/comm/fixed_point.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/trainer.hpp"

namespace dln {
namespace {

constexpr std::size_t kPrompts = 4;
constexpr std::size_t kExamples = 12;

// Logarithm of the density of the F distribution, without what does not depend on `ratio`.
double log_density(double ratio, double between, double within) {
    return (between / 2.0 - 1.0) * std::log(ratio) -
           (between + within) / 2.0 * std::log1p(between * ratio / within);
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Scores by prompt, of the examples that no prompt failed on.
std::vector<std::vector<double>> measured_under_all(
    const std::vector<std::vector<ExampleOutcome>>& outcomes) {
    std::vector<std::vector<double>> scores(outcomes.size());
    for (std::size_t i = 0; i < outcomes.front().size(); ++i) {
        const auto is_measured = [i](const auto& row) { return row[i].measured; };
        if (!std::ranges::all_of(outcomes, is_measured)) continue;
        for (std::size_t k = 0; k < outcomes.size(); ++k) {
            scores[k].push_back(from_fixed_point(outcomes[k][i].score));
        }
    }
    return scores;
}

}  // namespace

double Spreads::at(double place) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        sum += weights[i];
        if (place < sum) return kValues[i];
    }
    return kValues.back();
}

Spreads expected_spreads() { return {.weights = {1.0 / 2, 1.0 / 6, 1.0 / 6, 1.0 / 6}, .sent = {}}; }

Spreads spreads_by_ratio(double ratio,
                         std::size_t prompts,
                         std::size_t examples,
                         std::size_t batch) {
    Spreads spreads = expected_spreads();
    if (prompts < 2 || examples < 2 || batch == 0 || !(ratio > 0.0)) return spreads;
    const auto between = static_cast<double>(prompts - 1);
    const double within = between * static_cast<double>(examples - 1);
    double sum = 0.0;
    for (std::size_t i = 0; i < spreads.weights.size(); ++i) {
        // The means of prompts vary by their spread as well as by chance.
        const double factor = 1.0 + Spreads::kValues[i] * Spreads::kValues[i] *
                                        static_cast<double>(examples) / static_cast<double>(batch);
        spreads.weights[i] *= std::exp(log_density(ratio / factor, between, within)) / factor;
        sum += spreads.weights[i];
    }
    if (!(sum > 0.0)) return expected_spreads();
    for (double& weight : spreads.weights) weight /= sum;
    return spreads;
}

Variances variances(const std::vector<std::vector<double>>& scores) {
    const auto prompts = static_cast<double>(scores.size());
    const auto examples = static_cast<double>(scores.front().size());
    std::vector<double> by_prompt;
    for (const auto& row : scores) by_prompt.push_back(mean(row));
    const double all = mean(by_prompt);
    double between = 0.0;
    double within = 0.0;
    double of_examples = 0.0;
    for (std::size_t i = 0; i < scores.front().size(); ++i) {
        double by_example = 0.0;
        for (const auto& row : scores) by_example += row[i] / prompts;
        for (std::size_t k = 0; k < scores.size(); ++k) {
            const double rest = scores[k][i] - by_prompt[k] - by_example + all;
            within += rest * rest;
        }
        of_examples += (by_example - all) * (by_example - all) / (examples - 1.0);
    }
    within /= (prompts - 1.0) * (examples - 1.0);
    for (const double one : by_prompt) between += examples * (one - all) * (one - all);
    return {.between = between / (prompts - 1.0),
            .within = within,
            .examples = std::max(of_examples - within / prompts, 0.0)};
}

Spreads measured_spreads(const Job& job,
                         const Network& network,
                         const std::vector<Dataset>& splits,
                         Engine& engine,
                         const std::vector<std::string>& proposed) {
    Spreads spreads = expected_spreads();
    std::vector<std::uint64_t> examples = make_batches(job, network, splits[kTrainSplit]).batch(0);
    const std::size_t batch = examples.size();
    examples.resize(std::min(examples.size(), kExamples));
    const std::size_t prompts = std::min(kPrompts, proposed.size() + 1);
    if (prompts < 2 || examples.size() < 2) return spreads;

    NetworkParameters parameters = network.initial_parameters();
    const Measure measure = measure_for(network);
    TaskGraph graph;
    std::vector<EvaluationTasks> tasks;
    for (std::size_t k = 0; k < prompts; ++k) {
        if (k > 0) parameters.back().prompt = proposed[k - 1];
        tasks.push_back(add_calibrated_evaluation(graph, network,
                                                  {.parameters = parameters,
                                                   .measure = measure,
                                                   .split = kTrainSplit,
                                                   .examples = examples,
                                                   .step = 0,
                                                   .want_texts = false}));
    }
    engine.run(graph);
    std::vector<std::vector<ExampleOutcome>> outcomes;
    for (const EvaluationTasks& each : tasks) {
        EvaluationReading reading =
            read_evaluation(network, graph, each, measure, splits[kTrainSplit], examples);
        spreads.sent += reading.usage;
        outcomes.push_back(std::move(reading.outcomes));
    }
    const std::vector<std::vector<double>> scores = measured_under_all(outcomes);
    if (scores.front().size() < 2) return spreads;
    const std::size_t ranked = job.train.held_out_ranking ? batch - batch / 2 : batch;
    const Variances found = variances(scores);
    spreads.weights =
        spreads_by_ratio(found.ratio(), prompts, scores.front().size(), ranked).weights;
    if (found.within <= 0.0) return spreads;
    spreads.own_noise = std::sqrt(found.within / std::max(found.examples, 1e-9 * found.within));
    if (job.train.held_out_ranking) return spreads;
    const double noise = std::sqrt(found.within / static_cast<double>(ranked));
    std::vector<double> means;
    for (const auto& row : scores) means.push_back(mean(row));
    for (const double one : means) spreads.measured.push_back((one - mean(means)) / noise);
    spreads.measured_on = scores.front().size();
    return spreads;
}

}  // namespace dln
