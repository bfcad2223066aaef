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

/// What the proposals of a step are made from.
struct ProposalInput {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    std::uint64_t layer = 0;
    std::vector<ShownExample> batch;
    /// Prompts to start from: the incumbent first, then the memory; cycled over the proposals.
    std::vector<std::string> prompts;
    std::vector<TriedPrompt> history;  ///< best first
    std::string classes;  ///< names of the classes, comma separated; empty without classes
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
    /// The request of proposal `index` of a step: templates and starting prompts are cycled over the
    /// proposals, messages over the steps, examples come in a random order of their own. When the context
    /// does not fit, shown examples are dropped, one of each kind at a time; nullopt when none is left and
    /// it still does not fit.
    [[nodiscard]] std::optional<GenerateItem> item(const ProposalInput& input,
                                                   std::size_t index,
                                                   const FitsContext& fits) const;
    /// Name of the template that proposal `index` uses.
    [[nodiscard]] const std::string& template_name(std::size_t index) const;
    /// True when some template shows prompts tried before.
    [[nodiscard]] bool shows_history() const noexcept;
    /// 0 .. count-1 ordered by template, so that neighbours have most of their context in common.
    [[nodiscard]] std::vector<std::size_t> by_template(std::size_t count) const;

  private:
    struct Template {
        ProposalTemplateSpec spec;
        Mustache text;
    };
    ProposalSpec spec_;
    std::vector<Template> templates_;
};

/// The prompt in a model's reply: the first paragraph without quotes, list marks and labels such as
/// "Instruction:"; empty when nothing is left that could be a prompt.
[[nodiscard]] std::string prompt_from_reply(std::string_view reply);

}  // namespace dln
