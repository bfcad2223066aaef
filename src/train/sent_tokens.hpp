#pragma once
// Tokens of texts as a backend is sent them, counted by its tokeniser or by the model. Rank 0 only.

#include <string>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"

#include "train/plan_draws.hpp"

namespace dln {

class SentTokens {
  public:
    /// All must outlive this object. With `asks_model` false nobody counts where there is no tokeniser:
    /// tokens are guessed.
    SentTokens(const BackendSpec& spec, Backend& backend, TextDraws& draws, bool asks_model)
        : spec_(spec), backend_(backend), draws_(draws), asks_model_(asks_model) {}
    /// Begin texts stand in front of contexts where scores come by echo.
    [[nodiscard]] Context as_sent(Context context) const;
    /// Bytes that as_sent() adds to a context that is no chat.
    [[nodiscard]] std::size_t begin_bytes() const;
    /// By the tokeniser; else the model counts what it is asked to continue by one token.
    [[nodiscard]] std::vector<double> of_contexts(const std::vector<Context>& contexts);
    /// Of a target behind a context; `density` where nobody can count, in tokens a byte.
    [[nodiscard]] double of_target(const Context& context,
                                   const std::string& target,
                                   double density) const;

  private:
    const BackendSpec& spec_;
    Backend& backend_;
    TextDraws& draws_;
    bool asks_model_;
};

}  // namespace dln
