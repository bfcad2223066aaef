#include "train/step_values.hpp"

#include <algorithm>

namespace dln {
namespace {

ProposalInput empty_input(const TrainContext& context, const StepRecord& record) {
    return {.seed = context.job.seed,
            .step = static_cast<std::uint64_t>(record.step),
            .layer = 0,
            .batch = {},
            .prompts = {},
            .classes = class_names(context.network)};
}

std::string input_of(const TrainContext& context,
                     const StepRecord& record,
                     std::size_t layer,
                     std::size_t position) {
    const Example example = context.splits[kTrainSplit][record.batch[position]];
    return context.network.layer_input(layer, example.input, record.latents.forward[position]);
}

}  // namespace

bool counts_log_probs(const TrainContext& context) {
    return context.network.scoring().objective != Objective::accuracy;
}

WeightRule weight_rule(const PosteriorSpec& posterior) {
    return {.temperature = posterior.weight_temperature, .argmax = posterior.argmax};
}

StepValues::StepValues(const TrainContext& context,
                       const TrainState& state,
                       const StepScores& scores,
                       const LatentSampler& sampler,
                       StepRecord& record)
    : context_(context),
      incumbent_(state.current),
      last_layer_(context.network.depth() - 1),
      scores_(scores),
      sampler_(sampler),
      record_(record) {}

bool StepValues::needs_terms() const {
    return !needs_no_terms(weight_rule(context_.job.train.posterior), record_.latents.samples);
}

bool StepValues::counts_prior() const {
    return context_.job.train.posterior.prior && counts_log_probs(context_);
}

void StepValues::weigh() {
    const BatchLatents& latents = record_.latents;
    WeightTerms& terms = record_.terms;
    terms.drawn = ScoreTable(record_.batch.size(), latents.samples);
    for (std::size_t i = 0; i < record_.batch.size(); ++i) {
        for (std::size_t k = 0; k < latents.samples; ++k) {
            if (latents.drawn(i, k)) terms.drawn.set(i, k, 0.0);
        }
    }
    if (needs_terms()) {
        const PosteriorSpec& posterior = context_.job.train.posterior;
        terms.log_likelihood = incumbent_table(last_layer_);
        for (std::size_t l = 0; counts_prior() && l < last_layer_; ++l) {
            terms.log_prior.push_back(incumbent_table(l));
        }
        if (posterior.mutual_information) {
            terms.log_marginal = incumbent_table(scores_.without_residual());
        }
        if (posterior.log_q) terms.log_q = sampler_.sample_scores();
    }
    record_.weights = posterior_weights(terms, weight_rule(context_.job.train.posterior));
}

ScoreTable StepValues::incumbent_table(std::size_t layer) const {
    const std::size_t owner = std::min(layer, last_layer_);
    std::vector<ScoreTable> by_expert;
    for (const LayerParameters& expert : experts_of(incumbent_[owner])) {
        by_expert.push_back(scores_.table(layer, expert));
    }
    if (by_expert.size() == 1) return std::move(by_expert.front());
    ScoreTable table(by_expert.front().rows(), by_expert.front().columns());
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const ScoreTable& own = by_expert[expert_at(record_, owner, i)];
        for (std::size_t k = 0; k < table.columns(); ++k) {
            if (const auto score = own.at(i, k)) table.set(i, k, *score);
        }
    }
    return table;
}

std::vector<ExampleValues> StepValues::expert_values(std::size_t layer) const {
    std::vector<ExampleValues> values;
    for (const LayerParameters& expert : experts_of(incumbent_[layer])) {
        values.push_back(weighted_scores(record_.weights, scores_.table(layer, expert)));
    }
    return values;
}

ExampleValues StepValues::values(std::size_t layer,
                                 std::size_t expert,
                                 const LayerParameters& candidate) const {
    const TrainSpec& train = context_.job.train;
    const bool is_last = layer == last_layer_;
    const ScoreTable raw = scores_.table(layer, candidate);
    ExampleValues values =
        weighted_scores(record_.weights, !is_last && train.nce ? contrasted(raw) : raw);
    if (is_last && train.trust_factor > 0.0) {
        subtract(values, train.trust_factor, divergence(expert, candidate));
    }
    if (!is_last && train.logp_penalty > 0.0) {
        subtract(values, record_.error_factor, error_scores(layer, candidate));
    }
    return values;
}

ExampleValues StepValues::divergence(std::size_t expert, const LayerParameters& candidate) const {
    const auto incumbent = scores_.classes_on_forward(expert_of(incumbent_.back(), expert));
    const auto other = scores_.classes_on_forward(candidate);
    ExampleValues values(record_.batch.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (incumbent[i].empty() || other[i].empty()) continue;
        values[i] = kl_divergence(incumbent[i], other[i]);
    }
    return values;
}

ExampleValues StepValues::error_scores(std::size_t layer, const LayerParameters& candidate) const {
    ExampleValues values = scores_.on_forward(layer, candidate);
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!record_.latents.is_wrong[i]) values[i] = 0.0;
    }
    return values;
}

void StepValues::fill_in(LayerRecord& layer) const {
    const TrainSpec& train = context_.job.train;
    const bool is_last = layer.layer == last_layer_;
    for (const StepCandidate& candidate : layer.candidates) {
        const LayerParameters& parameters = candidate.parameters;
        layer.tables.push_back(scores_.table(layer.layer, parameters));
        if (scores_.is_calibrated(layer.layer)) {
            layer.class_log_probs.push_back(scores_.classes(layer.layer, parameters));
            layer.class_log_priors.push_back(scores_.class_prior(layer.layer, parameters));
        }
        if (is_last && train.trust_factor > 0.0) {
            layer.divergence.push_back(divergence(layer.expert, parameters));
        }
        if (!is_last && train.logp_penalty > 0.0) {
            layer.error_scores.push_back(error_scores(layer.layer, parameters));
        }
    }
}

std::vector<std::size_t> shown_positions(const StepRecord& record,
                                         std::size_t shown,
                                         std::size_t layer,
                                         std::size_t expert) {
    const MixtureRecord* const mixture = mixture_of(record, layer);
    std::vector<std::size_t> positions;
    for (std::size_t i = 0; i < shown; ++i) {
        if (mixture == nullptr || mixture->owns(expert, i)) positions.push_back(i);
    }
    return positions;
}

ProposalInput last_layer_input(const TrainContext& context,
                               const StepRecord& record,
                               const std::vector<std::size_t>& shown,
                               const std::vector<std::string>& outputs) {
    const Network& network = context.network;
    ProposalInput input = empty_input(context, record);
    for (const std::size_t i : shown) {
        const ExampleOutcome& outcome = record.forward[i];
        if (!outcome.measured) continue;
        input.batch.push_back(
            {.input = input_of(context, record, network.depth() - 1, i),
             .target = std::string(context.splits[kTrainSplit][record.batch[i]].target),
             .output =
                 network.has_classes() ? network.classes()[outcome.predicted].name : outputs[i],
             .right = outcome.right});
    }
    return input;
}

ProposalInput hidden_layer_input(const TrainContext& context,
                                 const StepRecord& record,
                                 const std::vector<std::size_t>& shown,
                                 std::size_t layer) {
    ProposalInput input = empty_input(context, record);
    for (const std::size_t i : shown) {
        const auto best = record.weights.best[i];
        if (!best) continue;
        input.batch.push_back({.input = input_of(context, record, layer, i),
                               .target = record.latents.sample(i, *best)[layer],
                               .output = record.latents.forward[i][layer],
                               .right = record.forward[i].right});
    }
    return input;
}

}  // namespace dln
