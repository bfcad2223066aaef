#pragma once
// What a plan must know of texts before they are written: how many tokens they have, how many are drawn, what
// proposals look like. Found out with a few texts that the model writes, and with a tokeniser. Rank 0 only.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/plan.hpp"
#include "dln/train/propose.hpp"

#include "train/token_density.hpp"

namespace dln {

/// Initial prompts are a person's, proposed ones a model's: their tokens are of other lengths.
enum PromptKind : std::size_t { kInitialPrompt = 0, kProposedPrompt = 1 };

struct TextFacts {
    std::vector<std::array<TokenDensity, 2>>
        contexts;  ///< of the last layer: [template][PromptKind]
    /// Of contexts with a proposed prompt, tokens a byte: [template][place in `prompts`]; 0: not counted.
    std::vector<std::vector<double>> prompt_densities;
    std::vector<std::vector<double>> form_tokens;  ///< of classes: [template][form]
    TokenDensity targets;                          ///< of free texts, with their separator
    std::size_t begin_bytes = 0;          ///< of the text that a server wants in front of a context
    std::vector<TokenDensity> proposals;  ///< by proposal template
    SampledLength replies;                ///< to proposals
    std::array<SampledLength, 2> outputs;  ///< of the last layer, by PromptKind
    std::vector<std::string> prompts;      ///< that replies became, each once
    /// By reply, the first step's proposals in their order: place in `prompts`; none: no prompt, or one that
    /// came before. Empty where the first step's proposals depend on what the model answers in it.
    std::vector<std::optional<std::size_t>> first_step;
    std::vector<double> first_step_tokens;  ///< of those replies
    double usable = 1.0;  ///< share of a step's replies that become different prompts
    double right = 0.5;   ///< share of right answers, or a guess
    Usage sent;           ///< what finding this out cost
};

/// What the proposals of `step` are made from, as far as it can be known: the batch as it will be, with
/// `right` of its answers right; the initial prompt in the first step, later `prompts` in turn.
[[nodiscard]] ProposalInput expected_proposal_input(const Job& job,
                                                    const Network& network,
                                                    const Dataset& train,
                                                    std::int64_t step,
                                                    double right,
                                                    const std::vector<std::string>& prompts);

/// Whether the proposals of the first step can be told before it: nothing in them depends on answers.
[[nodiscard]] bool knows_first_proposals(const Job& job,
                                         const Network& network,
                                         const Dataset& train);

/// Which share of a step's `asked` proposals become prompts that differ, when of `replies` replies each
/// different prompt came so many `times` and the rest were none.
[[nodiscard]] double share_of_new(const std::vector<std::size_t>& times,
                                  std::size_t replies,
                                  std::size_t asked);

/// Asks `backend` for at most some `most` texts of each kind, 0: for none. Pre: nothing is pending on it.
[[nodiscard]] TextFacts sample_texts(const Job& job,
                                     const Network& network,
                                     const std::vector<Dataset>& splits,
                                     Backend& backend,
                                     std::size_t most);

}  // namespace dln
