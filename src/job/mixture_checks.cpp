// What a job says of mixture layers.

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/mustache.hpp"

#include "job/checks.hpp"

namespace dln::job {
namespace {

void check_layer(Reader& reader, const Job& job, std::size_t l) {
    const LayerSpec& layer = job.network.layers[l];
    const bool is_last = l + 1 == job.network.layers.size();
    const std::string place = std::to_string(l);
    const auto fail = [&](const std::string& message, const char* name) {
        reader.fail(message, {"network", "layers", place, "mixture", name});
    };
    if (!job.embedding) {
        fail(fmt::format("{} experts, but their gate needs an embedding of the input, and {} is "
                         "absent. Expected such as \"embedding\": {{\"kind\": \"ngrams\"}} beside "
                         "\"backend\", or 1.",
                         layer.mixture.experts, kEmbeddingPointer),
             "experts");
    }
    if (!layer.train) {
        fail(
            "a gate is learned with its prompts, but the layer's \"train\" is false. Expected 1, "
            "or a layer that is trained.",
            "experts");
    }
    if (layer.mixture.prediction != MixturePrediction::mixture) return;
    if (!is_last) {
        fail("a hidden layer writes one text, not a mixture of them. Expected \"best\".",
             "prediction");
    } else if (job.classes.empty()) {
        fail(
            "mixes class probabilities, but /classes is empty. Name the classes, or expected "
            "\"best\".",
            "prediction");
    }
}

bool shows_history(const ProposalTemplateSpec& entry) {
    return entry.text.empty() ? entry.name.starts_with("history")
                              : Mustache(entry.text).names().contains("history");
}

// What goes by all examples of a batch alike.
void check_training(Reader& reader, const Job& job) {
    if (job.train.select == SelectMode::racing) {
        reader.fail(
            "a race counts all examples alike, but an expert of a mixture layer is ranked by the "
            "examples that are its own. Expected \"exact\".",
            {"train", "select"});
    }
    if (job.scoring.calibration != Calibration::none) {
        reader.fail(
            "takes one class prior off all inputs, but the experts of a mixture layer have inputs "
            "of different kinds. Expected \"none\".",
            {"scoring", "calibration"});
    }
    const auto& templates = job.train.proposals.templates;
    for (std::size_t t = 0; t < templates.size(); ++t) {
        if (!shows_history(templates[t])) continue;
        reader.fail(
            "shows scores of prompts tried before, which in a mixture layer are of different "
            "examples. Expected other templates.",
            {"train", "proposals", "templates", std::to_string(t)});
    }
}

}  // namespace

void check_mixtures(Reader& reader, const Job& job) {
    if (!has_mixtures(job)) return;
    for (std::size_t l = 0; l < job.network.layers.size(); ++l) {
        if (is_mixture(job.network.layers[l])) check_layer(reader, job, l);
    }
    check_training(reader, job);
}

}  // namespace dln::job
