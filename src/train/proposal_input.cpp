#include "train/proposal_input.hpp"

#include <algorithm>

namespace dln {

ProposalInput with_known(ProposalInput input,
                         const Network& network,
                         const TrainState& state,
                         std::size_t layer,
                         std::size_t expert) {
    input.layer = layer;
    input.expert = expert;
    if (layer < state.history.size()) input.history = state.history[layer];
    KnownWords& known = input.words;
    known.parameters = {expert_of(state.current[layer], expert)};
    for (const Evaluated& entry : state.memory) {
        known.parameters.push_back(expert_of(entry.parameters[layer], expert));
    }
    for (const LayerParameters& parameters : known.parameters) {
        if (std::ranges::find(input.prompts, parameters.prompt) == input.prompts.end()) {
            input.prompts.push_back(parameters.prompt);
        }
    }
    input.good = input.prompts;
    input.known = input.prompts;
    const LayerSpec& spec = network.layer(layer);
    input.known.insert(input.known.end(), spec.prompts.begin(), spec.prompts.end());
    known.words = spec.words;
    for (std::size_t t = 0; t < spec.templates.size(); ++t) {
        known.in_template.push_back(network.template_words(layer, t));
    }
    return input;
}

}  // namespace dln
