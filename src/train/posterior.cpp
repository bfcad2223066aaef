#include "dln/train/posterior.hpp"

#include <algorithm>
#include <array>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"

#include "train/fill_in.hpp"

namespace dln {
namespace {

const std::array<PosteriorTemplateSpec, 2>& built_in_posteriors() {
    static const std::array<PosteriorTemplateSpec, 2> known{
        PosteriorTemplateSpec{
            .name = "target",
            .text = "A question is answered in two steps.\n"
                    "Instruction of the first step: {{prompt}}\n"
                    "Instruction of the second step: {{next_prompt}}\n\n"
                    "Question: {{input}}\n"
                    "Right answer after the second step: {{target}}\n\n"
                    "{{message}}",
            .messages =
                {"Write the text that the first step should give, so that the second step "
                 "comes to the right answer. Reply with that text only.",
                 "Follow the instruction of the first step in a way that leads to the right "
                 "answer. Do not name the answer itself. Reply with the text only.",
                 "Write in a few words what the first step should say here."},
            .chat = true},
        PosteriorTemplateSpec{
            .name = "target_few_shot",
            .text = "Instruction: Name what is known about it.\n"
                    "Question: carrot\nAnswer in the end: vegetable\n"
                    "{{message}}: an orange root that grows in the soil\n\n"
                    "Instruction: Say what the headline is about.\n"
                    "Question: late goal decides the final\nAnswer in the end: sports\n"
                    "{{message}}: a football match and its winner\n\n"
                    "Instruction: {{prompt}}\n"
                    "Question: {{input}}\nAnswer in the end: {{target}}\n"
                    "{{message}}:",
            .messages = {"Thought before it", "What the instruction gives", "Step before it"},
            .chat = false},
    };
    return known;
}

std::map<std::string, std::string> entry(const PosteriorExample& example) {
    return {{"input", example.input}, {"target", example.target}, {"output", example.output}};
}

}  // namespace

std::optional<PosteriorTemplateSpec> built_in_posterior(std::string_view name) {
    for (const PosteriorTemplateSpec& known : built_in_posteriors()) {
        if (known.name == name) return known;
    }
    return std::nullopt;
}

PosteriorSampler::PosteriorSampler(const PosteriorSpec& spec) : spec_(spec) {
    for (const PosteriorTemplateSpec& wanted : spec.templates) {
        PosteriorTemplateSpec in = wanted;
        if (in.text.empty()) {
            const auto known = built_in_posterior(wanted.name);
            DLN_ASSERT(known.has_value(), "no built-in posterior template {}", wanted.name);
            fill_in(in, *known);
        }
        if (in.messages.empty()) in.messages.emplace_back();
        Mustache text(in.text);
        shows_illustration_ = shows_illustration_ || text.names().contains("illustration");
        templates_.push_back({std::move(in), std::move(text)});
    }
}

GenerateItem PosteriorSampler::item(const PosteriorInput& input, std::size_t sample) const {
    DLN_ASSERT(!templates_.empty(), "no posterior template");
    const Template& in = templates_[sample % templates_.size()];
    const std::size_t use = sample / templates_.size();
    TemplateValues values;
    values.texts = entry(input.shown);
    values.texts["message"] = in.spec.messages[use % in.spec.messages.size()];
    values.texts["prompt"] = input.prompt;
    values.texts["next_prompt"] = input.next_prompt;
    values.texts["classes"] = input.classes;
    if (input.illustration) values.lists["illustration"] = {entry(*input.illustration)};
    CounterRng sampling({.seed = input.seed,
                         .step = input.step,
                         .layer = input.layer,
                         .role = RandomRole::posterior_sampling,
                         .example = input.example,
                         .sample = sample});
    return {.context = {.text = in.text.render(values), .chat = in.spec.chat, .shared_bytes = 0},
            .seed = sampling.next()};
}

}  // namespace dln
