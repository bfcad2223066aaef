#include "dln/network/network.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/compare.hpp"
#include "dln/text/utf8.hpp"

namespace dln {

namespace {

// `order` so that targets take turns as long as each has examples left, in the order of their first.
std::vector<std::size_t> balanced_by_target(const std::vector<std::size_t>& order,
                                            const Dataset& data) {
    std::vector<std::string_view> targets;
    std::vector<std::vector<std::size_t>> by_target;
    for (const std::size_t i : order) {
        const auto found = std::ranges::find(targets, data[i].target);
        const auto place = static_cast<std::size_t>(found - targets.begin());
        if (found == targets.end()) {
            targets.push_back(data[i].target);
            by_target.emplace_back();
        }
        by_target[place].push_back(i);
    }
    std::vector<std::size_t> balanced;
    for (std::size_t turn = 0; balanced.size() < order.size(); ++turn) {
        for (const auto& examples : by_target) {
            if (turn < examples.size()) balanced.push_back(examples[turn]);
        }
    }
    return balanced;
}

std::map<std::string, std::string> word_values(const LayerSpec& layer,
                                               const std::vector<std::string>& words) {
    DLN_ASSERT(words.size() == layer.words.size(), "{} words for {} of the layer", words.size(),
               layer.words.size());
    std::map<std::string, std::string> values;
    for (std::size_t w = 0; w < words.size(); ++w) values[word_variable(layer.words[w])] = words[w];
    return values;
}

}  // namespace

Network::Network(const Job& job, const Dataset& train)
    : classes_(job.classes),
      scoring_(job.scoring),
      strip_options_(job.network.strip_options),
      nearest_shown_(dln::nearest_shown(job)) {
    for (const LayerSpec& spec : job.network.layers) compile_layer(spec);
    choose_few_shot(job, train);
    for (const std::size_t i : few_shot_examples_) few_shot_.add(train[i].input, train[i].target);
    for (const Template& in : layers_.back().templates) {
        few_shot_blocks_.push_back(
            few_shot_block(in, fixed_examples(), initial_words(layers_.back().spec)));
    }
    if (has_classes()) make_class_forms();
}

void Network::compile_layer(const LayerSpec& spec) {
    Layer layer{.spec = spec, .templates = {}, .residual = {}};
    for (const TemplateSpec& text : spec.templates) {
        Mustache compiled(text.text);
        const bool places_examples = compiled.names().contains("examples");
        // A chat turn begins on a line of its own: there is nothing to separate.
        const std::string separator =
            text.separator.value_or(text.chat ? std::string() : scoring_.separator);
        std::vector<std::size_t> words;
        for (std::size_t w = 0; w < spec.words.size(); ++w) {
            if (compiled.names().contains(word_variable(spec.words[w]))) words.push_back(w);
        }
        layer.templates.push_back(
            {std::move(compiled), text, separator, places_examples, std::move(words)});
    }
    if (spec.residual) layer.residual.emplace_back(*spec.residual);
    layers_.push_back(std::move(layer));
}

void Network::choose_few_shot(const Job& job, const Dataset& train) {
    for (std::size_t l = 0; l + 1 < layers_.size(); ++l) {
        if (layers_[l].spec.few_shot > 0) {
            throw UsageError(
                fmt::format("{}: /network/layers/{}/few_shot: {} on a hidden layer, whose outputs "
                            "have no known "
                            "target. Only the last layer can show examples.",
                            job.path, l, layers_[l].spec.few_shot));
        }
    }
    const std::size_t wanted = layers_.back().spec.few_shot;
    if (wanted == 0) return;
    if (wanted > train.size()) {
        throw UsageError(
            fmt::format("{}: /network/layers/{}/few_shot: {} examples wanted, the "
                        "training split has {}.",
                        job.path, layers_.size() - 1, wanted, train.size()));
    }
    if (nearest_shown_ > 0) return;
    CounterRng rng({.seed = job.seed, .role = RandomRole::few_shot});
    std::vector<std::size_t> order = rng.permutation(train.size());
    if (layers_.back().spec.few_shot_choice == FewShotChoice::balanced) {
        order = balanced_by_target(order, train);
    }
    order.resize(wanted);
    few_shot_examples_ = std::move(order);
}

std::vector<Example> Network::fixed_examples() const {
    std::vector<Example> examples;
    for (std::size_t i = 0; i < few_shot_.size(); ++i) examples.push_back(few_shot_[i]);
    return examples;
}

// A shown example looks like a call that went right: the template without a prompt, then the target.
std::string Network::few_shot_block(const Template& in,
                                    std::span<const Example> shown,
                                    const std::vector<std::string>& words) const {
    TemplateValues values{.texts = word_values(layers_.back().spec, words), .lists = {}};
    std::string block;
    for (const auto& [input, target] : shown) {
        values.texts["input"] = input;
        const std::string question =
            in.places_examples ? std::string(input) : in.text.render(values);
        block += trim(question);
        block += in.separator.empty() ? "\n" : in.separator;
        block += target;
        block += "\n\n";
    }
    return block;
}

// Shown examples have the words of the template around them.
std::string Network::shown_block(const LayerParameters& parameters,
                                 std::span<const Example> nearest) const {
    const Layer& layer = layers_.back();
    const Template& in = layer.templates[parameters.template_index];
    if (nearest_shown_ > 0) return few_shot_block(in, nearest, parameters.words);
    const bool has_other_words =
        !few_shot_examples_.empty() && parameters.words != initial_words(layer.spec);
    return has_other_words ? few_shot_block(in, fixed_examples(), parameters.words)
                           : few_shot_blocks_[parameters.template_index];
}

void Network::make_class_forms() {
    for (const Template& in : layers_.back().templates) {
        ClassForms forms;
        const bool spaced = in.separator.ends_with(' ');
        for (std::size_t c = 0; c < classes_.size(); ++c) {
            for (const std::string& verbalizer : classes_[c].verbalizers) {
                forms.targets.push_back(in.separator + verbalizer);
                forms.class_of.push_back(c);
                if (!scoring_.leading_space || spaced || verbalizer.starts_with(' ')) continue;
                forms.targets.push_back(in.separator + " " + verbalizer);
                forms.class_of.push_back(c);
            }
        }
        class_forms_.push_back(std::move(forms));
    }
}

Context Network::context(std::size_t index,
                         const LayerParameters& parameters,
                         std::string_view input,
                         std::span<const Example> shown) const {
    const Layer& layer = layers_[index];
    const Template& in = layer.templates[parameters.template_index];
    const bool is_last = index + 1 == layers_.size();
    TemplateValues values{.texts = word_values(layer.spec, parameters.words), .lists = {}};
    values.texts["prompt"] = parameters.prompt;
    values.texts["input"] = input;
    std::string& examples = values.texts["examples"];
    if (is_last) examples = shown_block(parameters, shown);
    SplitText rendered = in.text.render_split(values, "input");
    if (!in.places_examples && !examples.empty()) {
        rendered.text.insert(0, examples);
        rendered.fixed_bytes += examples.size();
    }
    // What is before the examples is then all that inputs have in common.
    if (is_last && nearest_shown_ > 0) {
        rendered.fixed_bytes = in.places_examples
                                   ? std::min(rendered.fixed_bytes,
                                              in.text.render_split(values, "examples").fixed_bytes)
                                   : 0;
    }
    return {.text = std::move(rendered.text),
            .chat = in.spec.chat,
            .shared_bytes = rendered.fixed_bytes};
}

std::string_view Network::visible_input(std::size_t index, std::string_view x) const {
    const bool is_hidden = index + 1 < layers_.size();
    return is_hidden && strip_options_ ? strip_options(x) : x;
}

std::string Network::next_input(std::size_t index,
                                std::string_view input,
                                std::string_view output) const {
    const Layer& layer = layers_[index];
    if (layer.residual.empty()) return std::string(output);
    return layer.residual.front().render(
        {.texts = {{"input", std::string(input)}, {"output", std::string(output)}}, .lists = {}});
}

std::string Network::layer_input(std::size_t index,
                                 std::string_view x,
                                 std::span<const std::string> latents) const {
    std::string input(visible_input(index, x));
    for (std::size_t l = 0; l < index; ++l) input = next_input(l, input, latents[l]);
    return input;
}

const std::string& Network::separator(std::size_t index, std::size_t template_index) const {
    return layers_[index].templates[template_index].separator;
}

std::size_t Network::class_index(std::string_view target) const {
    const auto found = std::ranges::find(classes_, target, &ClassSpec::name);
    if (found == classes_.end()) {
        throw UsageError(
            fmt::format("target \"{}\" is no class of the job", printable(target, 60)));
    }
    return static_cast<std::size_t>(found - classes_.begin());
}

NetworkParameters Network::initial_parameters() const {
    NetworkParameters parameters;
    for (const Layer& layer : layers_) {
        parameters.push_back(dln::initial_parameters(layer.spec));
    }
    return parameters;
}

LayerParameters initial_parameters(const LayerSpec& layer) {
    const auto expert = [&layer](std::size_t e) -> LayerParameters {
        return {layer.prompts[e % layer.prompts.size()], 0, initial_words(layer)};
    };
    LayerParameters parameters = expert(0);
    for (std::size_t e = 1; e < layer.mixture.experts; ++e) parameters.others.push_back(expert(e));
    return parameters;
}

}  // namespace dln
