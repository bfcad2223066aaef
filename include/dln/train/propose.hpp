#pragma once
// From what a batch showed to the contexts that ask for new prompts, and from the model's reply to a
// prompt. Pure; rank 0 only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/text/mustache.hpp"

namespace dln {

/// One example of the batch as a proposal may show it.
struct ShownExample {
    std::string input;
    std::string target;
    std::string output;  ///< what the network said under the incumbent
    bool right = false;
};

/// The names of a network's classes, comma separated; empty without classes.
[[nodiscard]] std::string class_names(const Network& network);

/// A prompt that was tried and what it was worth.
struct TriedPrompt {
    std::string prompt;
    double score =
        0.0;  ///< of 100: the geometric mean probability of the targets, or the share of right answers
    friend bool operator==(const TriedPrompt&, const TriedPrompt&) = default;
};

/// What proposals of words are made from.
struct KnownWords {
    std::vector<LayerParameters> parameters;  ///< to start from: the incumbent, then the memory
    std::vector<WordSpec> words;              ///< of the layer; empty: nothing can be proposed
    std::vector<std::vector<std::size_t>> in_template;  ///< by template, the words that it shows
};

/// What the proposals of a step are made from.
struct ProposalInput {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    std::uint64_t layer = 0;
    std::uint64_t expert = 0;  ///< of the layer; each draws by itself
    std::vector<ShownExample> batch;
    /// Prompts to start from: the incumbent first, then the memory; cycled over the proposals.
    std::vector<std::string> prompts;
    std::vector<TriedPrompt> history;  ///< best first
    std::string classes;  ///< names of the classes, comma separated; empty without classes
    std::vector<std::string> good;   ///< prompts that did well: the incumbent's and the memory's
    std::vector<std::string> known;  ///< those and the layer's initial ones
    KnownWords words;
};

/// A request of a step, and the proposals that its reply makes: the first of them names it.
struct ProposalRequest {
    std::size_t template_index = 0;
    std::size_t prompts = 1;  ///< that are asked for
    std::vector<std::size_t> proposals;
};

/// A built-in proposal template by name ("errors", "induction", "paraphrase"), if there is one.
[[nodiscard]] std::optional<ProposalTemplateSpec> built_in_proposal(std::string_view name);

/// True when a context is short enough for a backend.
using FitsContext = std::function<bool(const Context&)>;

class Proposer {
  public:
    /// Replaces built-in names by their templates; compiles all.
    explicit Proposer(const ProposalSpec& spec);
    [[nodiscard]] const ProposalSpec& spec() const noexcept { return spec_; }
    /// The request that proposal `index` of a step names: templates share the proposals, starting prompts are
    /// cycled over each template's requests, messages over the steps, examples come in a random order of their
    /// own. When the context does not fit, shown examples are dropped, one of each kind at a time; nullopt when
    /// none is left and it still does not fit. Pre: asks_model(index).
    [[nodiscard]] std::optional<GenerateItem> item(const ProposalInput& input,
                                                   std::size_t index,
                                                   const FitsContext& fits) const;
    /// The template that proposal `index` uses.
    [[nodiscard]] std::size_t template_index(std::size_t index) const;
    [[nodiscard]] const std::string& template_name(std::size_t index) const;
    /// True when some template shows prompts tried before.
    [[nodiscard]] bool shows_history() const noexcept;
    [[nodiscard]] bool asks_model(std::size_t index) const;
    [[nodiscard]] bool asks_model() const;  ///< for any proposal
    /// Requests for the proposals from `first` to before `end`, as far as they ask a model; ordered by template,
    /// so that neighbours have most of their context in common.
    [[nodiscard]] std::vector<ProposalRequest> requests(std::size_t first, std::size_t end) const;
    /// False for a proposal of a new word where no known parameters show any.
    [[nodiscard]] bool can_ask(const ProposalInput& input, std::size_t index) const;
    /// True when a proposal is other words around a known prompt, so that it is parameters of its own.
    [[nodiscard]] bool changes_words(std::size_t index) const;
    /// A request without items for replies of `prompts` prompts each: how proposals are drawn.
    [[nodiscard]] GenerateRequest without_items(std::size_t prompts) const;
    /// The prompt of a proposal that asks no model, empty when nothing can be made of the known prompts. Pre:
    /// !asks_model(index) and !changes_words(index).
    [[nodiscard]] std::string made_prompt(const ProposalInput& input, std::size_t index) const;
    /// The parameters of a proposal of words that asks no model; none when no others are left. Pre:
    /// !asks_model(index) and changes_words(index).
    [[nodiscard]] std::optional<LayerParameters> made_words(const ProposalInput& input,
                                                            std::size_t index) const;
    /// The parameters that a reply to a proposal of a new word makes; none when the reply holds no word, or the one
    /// that is there already. Pre: can_ask(input, index) and changes_words(index).
    [[nodiscard]] std::optional<LayerParameters> words_from_reply(const ProposalInput& input,
                                                                  std::size_t index,
                                                                  std::string_view reply) const;

  private:
    struct Template {
        ProposalTemplateSpec spec;
        Mustache text;
        bool asks_model = true;
        bool changes_words = false;
    };
    struct Place {
        std::size_t template_index = 0;
        std::size_t round = 0;  // proposals of the template before
    };
    // Known parameters, and which of their words a model is asked about.
    struct AskedWord {
        LayerParameters start;
        std::size_t word = 0;
    };
    [[nodiscard]] Place place(std::size_t index) const;
    [[nodiscard]] std::optional<AskedWord> asked_word(const ProposalInput& input,
                                                      std::size_t index) const;
    void set_texts(const ProposalInput& input, std::size_t index, TemplateValues& values) const;

    ProposalSpec spec_;
    std::vector<Template> templates_;
    std::vector<Place> cycle_;
    std::vector<std::size_t> in_cycle_;  // by template
};

/// The prompt in a model's reply: the first paragraph without quotes, list marks and labels such as
/// "Instruction:"; empty when nothing is left that could be a prompt.
[[nodiscard]] std::string prompt_from_reply(std::string_view reply);

/// The word in a model's reply: at most three words of its first line, without quotes, labels and punctuation
/// around; empty when nothing is left, and for what is longer than 40 bytes or has braces.
[[nodiscard]] std::string word_from_reply(std::string_view reply);

/// At most `most` prompts of a reply that was asked for a list of so many: its numbered or bulleted lines, or all
/// lines where none is; those that could not be a prompt are left out. With `most` 1 what prompt_from_reply
/// finds.
[[nodiscard]] std::vector<std::string> prompts_from_reply(std::string_view reply, std::size_t most);

/// What two prompts have in common that differ in case (ASCII letters), white space and closing punctuation only:
/// of those one is tried.
[[nodiscard]] std::string folded_prompt(std::string_view prompt);

}  // namespace dln
