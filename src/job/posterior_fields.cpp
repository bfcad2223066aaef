// The fields of posterior sampling: a part of the table in training_fields.cpp.

#include "job/asked_template.hpp"
#include "job/fields.hpp"

namespace dln::job {
namespace {

std::vector<std::string> builtin_posteriors() {
    return {kBuiltInPosteriors.begin(), kBuiltInPosteriors.end()};
}

void finish_posterior_template(Reader& reader, const Json&, PosteriorTemplateSpec& entry) {
    if (!entry.text.empty()) {
        check_template(
            reader, "text", entry.text,
            {.texts = {"message", "prompt", "next_prompt", "input", "target", "output", "classes"},
             .lists = {"illustration"},
             .inside = {"input", "target", "output"}});
    } else {
        check_is_built_in(reader, entry.name, builtin_posteriors(), "posterior");
    }
}

Codec<PosteriorTemplateSpec> posterior_template() {
    ObjectCodec<PosteriorTemplateSpec> spec(
        "posterior template",
        "How a latent that leads to the target is asked for. Variables: `{{message}}`, "
        "`{{prompt}}` (of the latent's layer), `{{next_prompt}}`, `{{input}}` (what the layer "
        "sees), `{{target}}`, `{{output}}` (what the forward pass said), `{{classes}}`, and the "
        "section `{{#illustration}}`, another example of the batch, with `{{input}}`, `{{target}}` "
        "and `{{output}}` inside. Built in: `target` asks an instruct model, `target_few_shot` is "
        "a plain completion for small models.");
    add_template_fields(spec,
                        "Alternatives for `{{message}}`, cycled over the samples of an example.");
    return spec.build(finish_posterior_template);
}

}  // namespace

Codec<PosteriorSpec> posterior_fields() {
    ObjectCodec<PosteriorSpec> spec(
        "posterior", "Latents of a network of several layers: sampling and weights.");
    spec.field("samples", &PosteriorSpec::samples, integer<std::size_t>(1, 10'000),
               "Latents drawn for each example.")
        .field("templates", &PosteriorSpec::templates,
               list(posterior_template(), Brackets::optional, 1),
               "Cycled over the samples of an example; at least one shows the target.",
               {.alias = "template", .default_text = "`[\"target\"]`"})
        .field("temperature", &PosteriorSpec::temperature, number({.high = 100.0}),
               "Of the samples; 0 makes all samples of one template and message equal.")
        .field("top_p", &PosteriorSpec::top_p, number({.high = 1.0, .low_open = true}),
               "Draw from the most probable tokens that have this share together.")
        .field("block", &PosteriorSpec::block, integer<std::size_t>(1, 100'000),
               "Samples a unit of work.")
        .field(
            "rewrite_loss_only", &PosteriorSpec::rewrite_loss_only, boolean(),
            "Sample only for examples that the network got wrong; the others keep their latents.")
        .field("speculate", &PosteriorSpec::speculate, boolean(),
               "Sample beside the forward pass: a step is two calls shorter, and what is then not "
               "needed was paid for.")
        .field("prior", &PosteriorSpec::prior, boolean(),
               "Weights count the latents' log-probability under the hidden layers' prompts; not "
               "with `objective` `accuracy`, where only right answers count.")
        .field("mutual_information", &PosteriorSpec::mutual_information, boolean(),
               "Weights take off the log-probability of the target after the latent alone, without "
               "the residual.")
        .field("log_q", &PosteriorSpec::log_q, boolean(),
               "Weights take off the latents' log-probability under the template that drew them.")
        .field("weight_temperature", &PosteriorSpec::weight_temperature,
               number({.high = 1e6, .low_open = true}),
               "Of the weights' softmax; from 100 on they are equal.")
        .field("argmax", &PosteriorSpec::argmax, boolean(),
               "Only the best sample of each example counts.");
    return spec.build([](Reader& reader, const Json& json, PosteriorSpec& value) {
        if (!json.contains("templates") && !json.contains("template")) {
            value.templates.push_back({.name = "target", .text = "", .messages = {}, .chat = true});
        }
        name_entries(reader, "p", value.templates);
    });
}

}  // namespace dln::job
