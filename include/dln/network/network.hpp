#pragma once
// A network ready to be evaluated: compiled templates, the forms of its classes, few-shot examples. Knows
// how to turn (parameters, input) into the context of a call, and nothing of ranks or backends. Immutable;
// every rank builds an equal one from the job and the training split.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/parameters.hpp"
#include "dln/text/mustache.hpp"

namespace dln {

/// The texts that stand for the classes after one template, and which class each belongs to.
struct ClassForms {
    std::vector<std::string> targets;   ///< separator and verbalizer
    std::vector<std::size_t> class_of;  ///< same size as targets
};

/// What a layer begins with: its first prompts, one an expert and again from the first where there are fewer, in its
/// first template with its first words.
[[nodiscard]] LayerParameters initial_parameters(const LayerSpec& layer);

class Network {
  public:
    /// `train` supplies few-shot examples. Throws UsageError when few_shot asks for more examples than it
    /// has or stands on a hidden layer.
    Network(const Job& job, const Dataset& train);

    [[nodiscard]] std::size_t depth() const noexcept { return layers_.size(); }
    [[nodiscard]] bool has_classes() const noexcept { return !classes_.empty(); }
    [[nodiscard]] const std::vector<ClassSpec>& classes() const noexcept { return classes_; }
    [[nodiscard]] const LayerSpec& layer(std::size_t index) const { return layers_[index].spec; }
    [[nodiscard]] const ScoringSpec& scoring() const noexcept { return scoring_; }

    /// The context of layer `index` for `input`; bytes before the input are marked as shared. `shown` are the
    /// examples of this input, first one first, where nearest_shown() is not 0; else the network has its own.
    [[nodiscard]] Context context(std::size_t index,
                                  const LayerParameters& parameters,
                                  std::string_view input,
                                  std::span<const Example> shown = {}) const;
    /// What layer `index` sees of x itself: without its options when it is hidden and the job asks so.
    [[nodiscard]] std::string_view visible_input(std::size_t index, std::string_view x) const;
    /// What the layer after `index` sees: the output, or the residual template over input and output.
    [[nodiscard]] std::string next_input(std::size_t index,
                                         std::string_view input,
                                         std::string_view output) const;
    /// What layer `index` sees for x when the layers before it said `latents`: of one layer each, at
    /// least `index` of them; the others are not looked at. Only hidden layers do not see x's options.
    [[nodiscard]] std::string layer_input(std::size_t index,
                                          std::string_view x,
                                          std::span<const std::string> latents) const;
    /// The text between context and target after this template.
    [[nodiscard]] const std::string& separator(std::size_t index, std::size_t template_index) const;
    /// Pre: has_classes().
    [[nodiscard]] const ClassForms& class_forms(std::size_t template_index) const {
        return class_forms_[template_index];
    }
    /// Which of the layer's words a template shows, in ascending order.
    [[nodiscard]] const std::vector<std::size_t>& template_words(std::size_t index,
                                                                 std::size_t template_index) const {
        return layers_[index].templates[template_index].words;
    }
    /// Index of the class that `target` names; throws UsageError when there is none.
    [[nodiscard]] std::size_t class_index(std::string_view target) const;
    /// How many examples the last layer shows with each input that others do not see; 0: none.
    [[nodiscard]] std::size_t nearest_shown() const noexcept { return nearest_shown_; }
    /// Indices of the training examples that the last layer shows with every input: no batch may contain them.
    [[nodiscard]] const std::vector<std::size_t>& few_shot_examples() const noexcept {
        return few_shot_examples_;
    }
    /// The initial parameters of all layers.
    [[nodiscard]] NetworkParameters initial_parameters() const;

  private:
    struct Template {
        Mustache text;
        TemplateSpec spec;
        std::string separator;
        bool places_examples;
        std::vector<std::size_t> words;  // of the layer's, those that it shows
    };
    struct Layer {
        LayerSpec spec;
        std::vector<Template> templates;
        std::vector<Mustache> residual;  // none or one
    };
    void compile_layer(const LayerSpec& spec);
    void choose_few_shot(const Job& job, const Dataset& train);
    void make_class_forms();
    [[nodiscard]] std::string few_shot_block(const Template& in,
                                             std::span<const Example> shown,
                                             const std::vector<std::string>& words) const;
    [[nodiscard]] std::vector<Example> fixed_examples() const;
    [[nodiscard]] std::string shown_block(const LayerParameters& parameters,
                                          std::span<const Example> nearest) const;

    std::vector<Layer> layers_;
    std::vector<ClassSpec> classes_;
    ScoringSpec scoring_;
    bool strip_options_;
    std::size_t nearest_shown_;
    Dataset few_shot_;  // shown with every input
    std::vector<std::size_t> few_shot_examples_;
    std::vector<std::string>
        few_shot_blocks_;                  // by template of the last layer, with its first words
    std::vector<ClassForms> class_forms_;  // by template of the last layer
};

}  // namespace dln
