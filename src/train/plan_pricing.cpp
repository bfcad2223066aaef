#include "train/plan_pricing.hpp"

#include <string>
#include <vector>

#include "dln/engine/budget.hpp"

namespace dln {

ContextBytes bytes_of_contexts(const Network& network, std::size_t layer, std::size_t t) {
    constexpr std::size_t kLength = 16;
    const std::vector<std::string> words = initial_words(network.layer(layer));
    const auto bytes = [&](std::size_t prompt, std::size_t input) {
        return static_cast<double>(
            network.context(layer, {std::string(prompt, 'x'), t, words}, std::string(input, 'x'))
                .text.size());
    };
    const double both = bytes(kLength, kLength);
    ContextBytes linear;
    linear.per_prompt = (bytes(2 * kLength, kLength) - both) / kLength;
    linear.per_input = (bytes(kLength, 2 * kLength) - both) / kLength;
    linear.fixed = both - kLength * (linear.per_prompt + linear.per_input);
    return linear;
}

Pricing::Pricing(const Network& network,
                 const RequestManner& manner,
                 const BackendSpec& prices,
                 const TextFacts& facts,
                 bool is_most)
    : network_(&network), manner_(&manner), prices_(&prices), facts_(&facts), is_most_(is_most) {
    const std::size_t last = network.depth() - 1;
    for (std::size_t t = 0; t < network.layer(last).templates.size(); ++t) {
        bytes_.push_back(bytes_of_contexts(network, last, t));
        bytes_.back().fixed += static_cast<double>(facts.begin_bytes);
    }
}

PlannedWork Pricing::operator()(PlannedMeasure what,
                                const PlannedPrompt& prompt,
                                std::size_t t,
                                const ExampleSums& examples) const {
    PlannedWork work;
    if (examples.count == 0.0) return work;
    const Measure measure = measure_of(what);
    const double context = context_tokens(prompt, t, examples.input_bytes / examples.count);
    if (measure == Measure::correct) {
        work.texts = RequestCost{1.0, context, output_tokens(prompt)} * examples.count;
    } else if (measure == Measure::classes) {
        work.scores = cost_of_scores(*manner_, context, facts_->form_tokens[t]) * examples.count;
    } else {
        const std::size_t last = network_->depth() - 1;
        const double tokens =
            density(facts_->targets) * (examples.target_bytes / examples.count +
                                        static_cast<double>(network_->separator(last, t).size()));
        work.scores = cost_of_scores(*manner_, context, {&tokens, 1}) * examples.count;
    }
    work.scores = priced(work.scores, *prices_);
    work.texts = priced(work.texts, *prices_);
    return work;
}

Measure Pricing::measure_of(PlannedMeasure what) const {
    if (what == PlannedMeasure::forward) {
        return network_->has_classes() ? Measure::classes : Measure::correct;
    }
    if (what == PlannedMeasure::calibration) return Measure::classes;
    return what == PlannedMeasure::score ? measure_for(*network_)
                                         : measure_for_evaluation(*network_);
}

double Pricing::context_tokens(const PlannedPrompt& prompt,
                               std::size_t t,
                               double input_bytes) const {
    const ContextBytes& bytes = bytes_[t];
    return context_density(prompt, t) *
           (bytes.fixed + bytes.per_prompt * prompt.bytes + bytes.per_input * input_bytes);
}

// Of the prompt itself where it was counted: prompts differ.
double Pricing::context_density(const PlannedPrompt& prompt, std::size_t t) const {
    if (!prompt.is_proposed) return density(facts_->contexts[t][kInitialPrompt]);
    const std::vector<double>& counted = facts_->prompt_densities[t];
    if (!is_most_ && prompt.place < counted.size() && counted[prompt.place] > 0.0) {
        return counted[prompt.place];
    }
    return density(facts_->contexts[t][kProposedPrompt]);
}

double Pricing::output_tokens(const PlannedPrompt& prompt) const {
    if (is_most_) return network_->layer(network_->depth() - 1).max_tokens;
    return facts_->outputs[prompt.is_proposed ? kProposedPrompt : kInitialPrompt].tokens;
}

}  // namespace dln
