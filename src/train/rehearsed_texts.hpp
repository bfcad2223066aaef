#pragma once
// Texts of a run that is rehearsed: some that the model writes for the plan, from which all others are drawn, and
// how many tokens texts have. Rank 0 only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dln/engine/network_runner.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/train/plan.hpp"

#include "train/plan_draws.hpp"
#include "train/sent_tokens.hpp"
#include "train/token_density.hpp"

namespace dln {

/// Texts that are alike.
struct TextKind {
    TextPurpose purpose = TextPurpose::other;  ///< other: what a layer says
    std::size_t layer = 0;
    bool is_proposed = false;  ///< said under a prompt that a model proposed
    int max_tokens = 0;
    friend auto operator<=>(const TextKind&, const TextKind&) = default;
};

/// Layers are the forward model's, all else is asked of the backward model.
[[nodiscard]] ModelRole role_of(const TextKind& kind);

/// The models that a plan asks: one backend may be both.
struct PlannedModels {
    Backend& forward;
    Backend& backward;
    [[nodiscard]] Backend& of(ModelRole role) const {
        return role == ModelRole::forward ? forward : backward;
    }
};
/// What a job says of a model.
[[nodiscard]] const BackendSpec& spec_of(const Job& job, ModelRole role);

/// A text that a run wants.
struct WantedText {
    TextKind kind;
    std::uint64_t group = 0;  ///< texts that may well be equal are of one: samples of an example
    const GenerateRequest* like = nullptr;
    GenerateItem item;
    std::string prompt = {};  ///< that it is said under
    /// Of a network's answer under its initial prompts.
    std::optional<std::string> target = std::nullopt;
};

class RehearsedTexts {
  public:
    /// `most` texts of each kind, 0: none, all are as long as they may be. Job and backends must outlive this
    /// object.
    RehearsedTexts(const Job& job, const PlannedModels& models, std::size_t most);
    RehearsedTexts(const RehearsedTexts&) = delete;
    RehearsedTexts& operator=(const RehearsedTexts&) = delete;

    /// Has the model write some of `wanted`, as far as their kinds need more. Pre: nothing is pending on the
    /// backend.
    void sample(const std::vector<WantedText>& wanted);
    /// Groups of written texts; none: nothing was written.
    [[nodiscard]] const std::vector<std::vector<GeneratedText>>& groups(const TextKind& kind) const;
    /// As long as allowed; those with different `name`s differ.
    [[nodiscard]] GeneratedText longest(const TextKind& kind, const std::string& name) const;
    /// Of all texts for a purpose, of a layer or of all.
    [[nodiscard]] SampledLength length(TextPurpose purpose, std::optional<std::size_t> layer) const;
    /// Of the answers that were written, and how many there are.
    [[nodiscard]] std::size_t right() const { return right_; }
    [[nodiscard]] std::size_t answers() const { return answers_; }

    /// Tokens that a backend is sent for a context of a text, or of a score of it. While `learns`, some are
    /// counted; `is_most`: as many as a text of so many bytes can have.
    [[nodiscard]] double context_tokens(const TextKind& kind, const Context& context, bool is_most);
    /// Of a target behind a context of a layer; a class's form is counted once.
    [[nodiscard]] double target_tokens(const TextKind& kind,
                                       const Context& context,
                                       const std::string& target,
                                       bool is_form,
                                       bool is_most);
    /// From now on nothing is asked or counted.
    void close() { learns_ = false; }

    [[nodiscard]] const Usage& sent(ModelRole role) const { return of(role).sent; }
    [[nodiscard]] std::size_t begin_bytes() const { return forward_.tokens.begin_bytes(); }
    [[nodiscard]] double mean_density() const;  ///< of all contexts, in tokens a byte

  private:
    struct Pool {
        std::map<std::uint64_t, std::size_t> places;  // of groups
        std::vector<std::vector<GeneratedText>> groups;
        std::vector<double> lengths;
        std::map<std::string, std::size_t> by_prompt;
        DensitySum text_bytes;  // tokens a byte of the texts
    };
    struct Counted {
        DensitySum sum;
        std::size_t seen = 0;
        std::size_t counted = 0;
    };
    // What is asked of a model.
    struct Asked {
        Asked(const Job& job, ModelRole role, Backend& model, bool asks_model);
        Backend& backend;
        Usage sent;
        TextDraws draws;
        SentTokens tokens;
    };
    // Contexts of one layer are alike whatever is asked about them.
    struct ContextKind {
        TextPurpose purpose;
        std::size_t layer;
        bool is_proposed;
        friend auto operator<=>(const ContextKind&, const ContextKind&) = default;
    };
    [[nodiscard]] static ContextKind context_kind(const TextKind& kind) {
        return {kind.purpose, kind.layer, kind.is_proposed};
    }
    [[nodiscard]] std::vector<WantedText> chosen(const Pool& pool,
                                                 const std::vector<WantedText>& wanted) const;
    void write(Pool& pool, const std::vector<WantedText>& asked);
    [[nodiscard]] bool wants_count(Counted& counted, bool is_exact) const;
    [[nodiscard]] double density(const Counted& counted, bool is_most) const;

    [[nodiscard]] const Asked& of(ModelRole role) const {
        return role == ModelRole::forward ? forward_ : backward_;
    }
    [[nodiscard]] Asked& of(const TextKind& kind) {
        return role_of(kind) == ModelRole::forward ? forward_ : backward_;
    }

    const Job& job_;
    std::size_t most_;
    bool learns_ = true;
    Asked forward_;
    Asked backward_;
    std::map<TextKind, Pool> pools_;
    std::map<ContextKind, Counted> contexts_;
    std::map<ContextKind, Counted> targets_;
    std::map<std::string, double> forms_;
    std::size_t right_ = 0;
    std::size_t answers_ = 0;
};

}  // namespace dln
