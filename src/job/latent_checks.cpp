// What a job says of latents and of the terms that are counted against candidates.

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/mustache.hpp"

#include "job/checks.hpp"

namespace dln::job {
namespace {

bool uses(const PosteriorTemplateSpec& entry, const char* name) {
    return Mustache(entry.text).names().contains(name);
}

// Built-in templates, which have no text here, show the target and not the output.
void check_posterior_templates(Reader& reader, const PosteriorSpec& posterior) {
    const auto& templates = posterior.templates;
    const auto shows_target = [](const PosteriorTemplateSpec& entry) {
        return entry.text.empty() ||
               std::ranges::any_of(Mustache(entry.text).uses(), [](const auto& use) {
                   return use.name == "target" && use.inside.empty();
               });
    };
    if (!templates.empty() && std::ranges::none_of(templates, shows_target)) {
        reader.fail(
            "no template shows {{target}}, so that no sample would know what it should lead to. "
            "Expected {{target}}, outside {{#illustration}}, in one at least.",
            {"train", "posterior", "templates"});
    }
    for (std::size_t t = 0; posterior.speculate && t < templates.size(); ++t) {
        if (!templates[t].text.empty() && uses(templates[t], "output")) {
            reader.fail(
                "{{output}} is what the forward pass said, beside which \"speculate\" samples. "
                "Leave "
                "one of the two out.",
                {"train", "posterior", "templates", std::to_string(t), "text"});
        }
    }
}

void check_accuracy(Reader& reader, const Job& job) {
    if (job.scoring.objective != Objective::accuracy) return;
    const auto refuse = [&](bool is_on, std::initializer_list<std::string> place) {
        if (!is_on) return;
        reader.fail(
            "needs log-probabilities, but with /scoring/objective \"accuracy\" only right answers "
            "count. Expected another objective, or leave it out.",
            place);
    };
    const TrainSpec& train = job.train;
    refuse(train.posterior.mutual_information, {"train", "posterior", "mutual_information"});
    refuse(train.posterior.log_q, {"train", "posterior", "log_q"});
    refuse(train.nce, {"train", "nce"});
    refuse(train.logp_penalty > 0.0, {"train", "logp_penalty"});
}

void check_hidden(Reader& reader, const Job& job) {
    const TrainSpec& train = job.train;
    const auto refuse = [&](bool is_on, const char* name) {
        if (!is_on) return;
        reader.fail("is about hidden layers, but /network/layers has one layer.", {"train", name});
    };
    refuse(train.logp_penalty > 0.0, "logp_penalty");
    refuse(train.nce, "nce");
    refuse(train.hidden_steps > 1, "hidden_steps");
}

}  // namespace

void check_latents(Reader& reader, const Job& job) {
    const auto& layers = job.network.layers;
    const bool has_class_scores =
        !job.classes.empty() && job.scoring.objective != Objective::log_prob;
    if (job.train.trust_factor > 0.0 && !has_class_scores) {
        reader.fail(
            fmt::format("{}, but the divergence is one of class probabilities, which this job has "
                        "not. Expected /classes and an objective other than \"log_prob\", or 0.",
                        job.train.trust_factor),
            {"train", "trust_factor"});
    }
    if (layers.size() == 1) {
        check_hidden(reader, job);
        return;
    }
    check_posterior_templates(reader, job.train.posterior);
    check_accuracy(reader, job);
    if (job.train.posterior.mutual_information && !layers[layers.size() - 2].residual) {
        reader.fail(
            fmt::format("without a residual the last layer sees the latent alone: the term would "
                        "cancel the likelihood. Expected /network/layers/{}/residual, or false.",
                        layers.size() - 2),
            {"train", "posterior", "mutual_information"});
    }
}

}  // namespace dln::job
