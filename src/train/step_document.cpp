// A step's record as arrays of a step file (docs/checkpoint-format.md): all that is needed to compute every choice
// again from the formulas.

#include <algorithm>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "dln/train/step.hpp"

#include "train/class_rows.hpp"

namespace dln {
namespace {

Array indices(const std::vector<std::uint64_t>& values) {
    return Array::list(std::vector<std::int64_t>(values.begin(), values.end()));
}

double number_or_nan(const std::optional<double>& value) {
    return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

// Absent numbers are NaN: in files only.
Array table_array(const ScoreTable& table) {
    std::vector<double> cells;
    for (std::size_t i = 0; i < table.rows(); ++i) {
        for (std::size_t k = 0; k < table.columns(); ++k) {
            cells.push_back(number_or_nan(table.at(i, k)));
        }
    }
    return Array::table(table.rows(), table.columns(), std::move(cells));
}

// [table][row][column]
Array stacked(const std::vector<ScoreTable>& tables) {
    Array all{{tables.size(), 0, 0}, std::vector<double>()};
    auto& cells = std::get<std::vector<double>>(all.values);
    for (const ScoreTable& table : tables) {
        all.shape[1] = table.rows();
        all.shape[2] = table.columns();
        const Array one = table_array(table);
        const auto& more = std::get<std::vector<double>>(one.values);
        cells.insert(cells.end(), more.begin(), more.end());
    }
    return all;
}

// [candidate][position]
Array rows_of(const std::vector<ExampleValues>& rows) {
    std::vector<double> cells;
    for (const ExampleValues& row : rows) {
        for (const auto& value : row) cells.push_back(number_or_nan(value));
    }
    return Array::table(rows.size(), rows.empty() ? 0 : rows.front().size(), std::move(cells));
}

void write_calibration(const LayerRecord& layer, const std::string& at, StepDocument& document) {
    if (layer.class_log_priors.empty()) return;
    std::vector<ClassLogProbs> all;
    for (const auto& rows : layer.class_log_probs) all.insert(all.end(), rows.begin(), rows.end());
    Array raw = class_rows(all);
    const ScoreTable& like = layer.tables.front();
    raw.shape = {layer.class_log_probs.size(), like.rows(), like.columns(), raw.shape[1]};
    document.arrays[at + "/class_log_probs"] = std::move(raw);
    document.arrays[at + "/class_log_prior"] = class_rows(layer.class_log_priors);
}

// [row, word]; only layers with words have any.
void write_words(const std::vector<std::vector<std::string>>& rows,
                 const std::string& path,
                 StepDocument& document) {
    std::size_t width = 0;
    for (const auto& row : rows) width = std::max(width, row.size());
    if (width == 0) return;
    std::vector<std::string> words;
    for (std::vector<std::string> row : rows) {
        row.resize(width);
        std::ranges::move(row, std::back_inserter(words));
    }
    document.arrays[path] = Array::table(rows.size(), width, std::move(words));
}

void write_proposals(const LayerRecord& layer, const std::string& at, StepDocument& document) {
    std::vector<std::string> templates;
    std::vector<std::string> replies;
    std::vector<std::string> prompts;
    std::vector<std::vector<std::string>> words;
    for (const ProposalRecord& proposal : layer.proposals) {
        templates.push_back(proposal.template_name);
        replies.push_back(proposal.reply);
        prompts.push_back(proposal.prompt);
        words.push_back(proposal.parameters ? proposal.parameters->words
                                            : std::vector<std::string>());
    }
    document.arrays[at + "/proposals/template"] = Array::list(std::move(templates));
    document.arrays[at + "/proposals/reply"] = Array::list(std::move(replies));
    document.arrays[at + "/proposals/prompt"] = Array::list(std::move(prompts));
    write_words(words, at + "/proposals/words", document);
}

void write_candidates(const LayerRecord& layer, const std::string& at, StepDocument& document) {
    std::vector<std::string> prompts;
    std::vector<std::int64_t> templates;
    std::vector<std::vector<std::string>> words;
    std::vector<std::string> origins;
    std::vector<double> means;
    std::vector<std::int64_t> scored;
    for (std::size_t k = 0; k < layer.candidates.size(); ++k) {
        prompts.push_back(layer.candidates[k].parameters.prompt);
        templates.push_back(
            static_cast<std::int64_t>(layer.candidates[k].parameters.template_index));
        words.push_back(layer.candidates[k].parameters.words);
        origins.push_back(layer.candidates[k].origin);
        means.push_back(layer.scores[k].mean());
        scored.push_back(static_cast<std::int64_t>(layer.scores[k].scored));
    }
    document.arrays[at + "/candidates/prompt"] = Array::list(std::move(prompts));
    document.arrays[at + "/candidates/template"] = Array::list(std::move(templates));
    write_words(words, at + "/candidates/words", document);
    document.arrays[at + "/candidates/origin"] = Array::list(std::move(origins));
    document.arrays[at + "/candidates/mean"] = Array::list(std::move(means));
    document.arrays[at + "/candidates/scored"] = Array::list(std::move(scored));
}

// Experts stand below their layer.
std::string path_of(const StepRecord& record, const LayerRecord& layer) {
    const std::string at = fmt::format("step/layers/{}", layer.layer);
    return mixture_of(record, layer.layer) == nullptr
               ? at
               : fmt::format("{}/experts/{}", at, layer.expert);
}

void write_mixture(const MixtureRecord& mixture, StepDocument& document) {
    const std::string at = fmt::format("step/layers/{}", mixture.layer);
    const std::size_t positions = mixture.routed.size();
    document.arrays[at + "/log_gate"] = Array::table(positions, mixture.experts, mixture.log_gate);
    document.arrays[at + "/routed"] =
        Array::list(std::vector<std::int64_t>(mixture.routed.begin(), mixture.routed.end()));
    if (mixture.responsibilities.empty()) return;
    document.arrays[at + "/responsibilities"] =
        Array::table(positions, mixture.experts, mixture.responsibilities);
}

void write_layer(const LayerRecord& layer, const std::string& at, StepDocument& document) {
    write_proposals(layer, at, document);
    write_candidates(layer, at, document);
    document.arrays[at + "/scores"] = stacked(layer.tables);
    write_calibration(layer, at, document);
    if (!layer.divergence.empty()) document.arrays[at + "/divergence"] = rows_of(layer.divergence);
    if (!layer.error_scores.empty()) {
        document.arrays[at + "/error_scores"] = rows_of(layer.error_scores);
    }
    document.arrays[at + "/chosen"] = Array::scalar(static_cast<std::int64_t>(layer.chosen));
}

void write_latents(const BatchLatents& latents, StepDocument& document) {
    const std::size_t positions = latents.forward.size();
    Array forward{{positions, latents.hidden}, std::vector<std::string>()};
    auto& forward_texts = std::get<std::vector<std::string>>(forward.values);
    for (Trajectory trajectory : latents.forward) {
        trajectory.resize(latents.hidden);
        forward_texts.insert(forward_texts.end(), trajectory.begin(), trajectory.end());
    }
    Array sampled{{positions, latents.samples, latents.hidden}, std::vector<std::string>()};
    auto& texts = std::get<std::vector<std::string>>(sampled.values);
    for (Trajectory trajectory : latents.sampled) {
        trajectory.resize(latents.hidden);
        texts.insert(texts.end(), trajectory.begin(), trajectory.end());
    }
    document.arrays["step/latents/forward"] = std::move(forward);
    document.arrays["step/latents/sampled"] = std::move(sampled);
    const std::vector<std::int64_t> drawn(latents.is_drawn.begin(), latents.is_drawn.end());
    document.arrays["step/latents/drawn"] = Array::table(positions, latents.samples, drawn);
}

void write_weights(const StepRecord& record, StepDocument& document) {
    const WeightTerms& terms = record.terms;
    auto& arrays = document.arrays;
    if (terms.log_likelihood.rows() > 0) {
        arrays["step/weights/log_likelihood"] = table_array(terms.log_likelihood);
    }
    if (!terms.log_prior.empty()) arrays["step/weights/log_prior"] = stacked(terms.log_prior);
    if (terms.log_marginal) arrays["step/weights/log_marginal"] = table_array(*terms.log_marginal);
    if (!terms.log_q.empty()) arrays["step/weights/log_q"] = stacked(terms.log_q);
    const std::size_t rows = record.weights.best.size();
    arrays["step/weights/values"] =
        Array::table(rows, record.weights.samples, record.weights.values);
    std::vector<std::int64_t> best;
    for (const auto& one : record.weights.best) {
        best.push_back(one ? static_cast<std::int64_t>(*one) : -1);
    }
    arrays["step/weights/best"] = Array::list(std::move(best));
    arrays["step/weights/error_factor"] = Array::scalar(record.error_factor);
}

}  // namespace

void write_step(const StepRecord& record, StepDocument& document) {
    auto& arrays = document.arrays;
    arrays["step/index"] = Array::scalar(record.step);
    arrays["step/batch"] = indices(record.batch);
    std::vector<std::uint64_t> ranked_on;
    for (const std::size_t position : record.ranked_on) {
        ranked_on.push_back(record.batch[position]);
    }
    arrays["step/ranked_on"] = indices(ranked_on);
    std::vector<std::int64_t> right;
    for (const ExampleOutcome& outcome : record.forward) right.push_back(outcome.right ? 1 : 0);
    arrays["step/forward_right"] = Array::list(std::move(right));
    if (!record.forward_class_log_prior.empty()) {
        arrays["step/forward_class_log_prior"] = Array::list(record.forward_class_log_prior);
    }
    arrays["step/nothing_to_learn"] = Array::scalar(std::int64_t{record.nothing_to_learn ? 1 : 0});
    if (record.latents.hidden > 0) {
        write_latents(record.latents, document);
        write_weights(record, document);
    }
    for (const LayerRecord& layer : record.layers) {
        write_layer(layer, path_of(record, layer), document);
    }
    for (const MixtureRecord& mixture : record.mixtures) write_mixture(mixture, document);
    arrays["step/failures"] = Array::scalar(record.failures);
    arrays["step/empty_samples"] = Array::scalar(record.empty_samples);
    arrays["step/first_failure"] = Array::scalar(record.first_failure);
    write_usage(record.usage, "step/", "timing/step_", document);
    if (record.backward_usage) {
        write_usage(*record.backward_usage, "step/backward/", "timing/step_backward_", document);
    }
}

}  // namespace dln
