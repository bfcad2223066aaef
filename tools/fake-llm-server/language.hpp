#pragma once
// Tokeniser, distribution and scripted lines together: scores of given tokens and continuations of them.

#include <string>
#include <vector>

#include "model.hpp"
#include "scripted.hpp"
#include "tokenizer.hpp"

namespace fake_llm {

/// A token with what the model says of it, given the tokens before.
struct ScoredToken {
    Token token = 0;
    double log_prob = 0.0;
    State before;
};

enum class Finish { length, end, stop };

struct GenerateLimits {
    int max_tokens = 16;
    std::vector<std::string> stop;
    Sampling sampling;
};

struct Generated {
    std::vector<ScoredToken> tokens;  ///< with the end token, if that ended it
    std::string text;                 ///< cut before a stop string
    Finish finish = Finish::length;
    std::string stopped_by;
};

class Language {
  public:
    Language(ScriptedLines scripted, bool adds_begin);

    [[nodiscard]] const Tokenizer& tokenizer() const { return tokenizer_; }
    [[nodiscard]] const Model& model() const { return model_; }

    /// The tokens of a prompt, with the begin token in front if `add_special` and the model wants one.
    [[nodiscard]] std::vector<Token> prompt_tokens(std::string_view text, bool add_special) const;
    /// Text of `tokens` without control tokens.
    [[nodiscard]] std::string plain_text(std::span<const Token> tokens) const;

    /// Every token given those before it, also the first one.
    [[nodiscard]] std::vector<ScoredToken> score(std::span<const Token> tokens) const;
    /// One given token after `tokens`.
    [[nodiscard]] ScoredToken score_next(std::span<const Token> tokens, Token token) const;
    [[nodiscard]] Generated generate(std::span<const Token> prompt,
                                     const GenerateLimits& limits) const;

  private:
    Tokenizer tokenizer_;
    Model model_;
    ScriptedLines scripted_;
    bool adds_begin_;
};

}  // namespace fake_llm
