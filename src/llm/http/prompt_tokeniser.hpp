#pragma once
// The tokenisers behind POST /tokenize {"prompt"} (vLLM, SGLang) and /extras/tokenize (llama-cpp-python).

#include "llm/http/wire.hpp"

namespace dln::http {

class PromptTokeniser final : public Tokeniser {
  public:
    /// `renders_chat`: /tokenize takes messages, and /detokenize gives the template's text, in all versions
    /// (vLLM); false: where ServerFacts says so (SGLang).
    explicit PromptTokeniser(bool renders_chat) : renders_chat_(renders_chat) {}
    [[nodiscard]] Call tokenise(const ServerFacts& server,
                                std::string_view text,
                                bool is_rendered) const override;
    [[nodiscard]] std::optional<std::vector<TokenId>> read_tokens(const Json& reply) const override;
    [[nodiscard]] std::string why_no_chat(const ServerFacts& server) const override;
    [[nodiscard]] Call render(const ServerFacts& server,
                              std::string_view text,
                              const RenderedChat& so_far) const override;
    [[nodiscard]] bool read_rendered(const Json& reply, RenderedChat& so_far) const override;

  private:
    bool renders_chat_;
};

/// The call that tells whether there is POST /tokenize, and what its reply means.
[[nodiscard]] Call ask_for_tokenise();
void learn_tokenise(int status, std::string_view body, ServerFacts& server);
/// The call that tells whether POST /tokenize takes messages, and what its reply means.
[[nodiscard]] Call ask_for_rendering();
void learn_rendering(int status, std::string_view body, ServerFacts& server);

}  // namespace dln::http
