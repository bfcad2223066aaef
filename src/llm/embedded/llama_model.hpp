#pragma once
// RAII over llama.cpp's C API, and texts to tokens and back. llama.h is included in this folder only.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <llama.h>

#include "dln/llm/backend.hpp"

#include "llm/embedded/token_tree.hpp"

namespace dln {

struct LlamaModelDeleter {
    void operator()(llama_model* model) const { llama_model_free(model); }
};
struct LlamaContextDeleter {
    void operator()(llama_context* context) const { llama_free(context); }
};
using LlamaModelHandle = std::unique_ptr<llama_model, LlamaModelDeleter>;
using LlamaContextHandle = std::unique_ptr<llama_context, LlamaContextDeleter>;

/// Maps the GGUF file at `path`; throws BackendError that names it.
[[nodiscard]] LlamaModelHandle load_llama_model(const std::string& path);

/// Sends llama.cpp's log to spdlog (its warnings as warnings, the rest as debug). Idempotent.
void route_llama_log();

/// Texts to tokens. Control tokens come from the model's own chat template only: text of the user that
/// spells one ("<|im_end|>") stays ordinary text.
class Tokenizer {
  public:
    /// `begin_text` is put before every context that is no chat.
    Tokenizer(const llama_model& model, const std::string& begin_text);
    /// Tokens of the context (chat template and begin-of-text token included) followed by `target`.
    [[nodiscard]] std::vector<Token> encode(const Context& context,
                                            std::string_view target = {}) const;
    /// Tokens of what is before the end of the context's shared bytes.
    [[nodiscard]] std::vector<Token> encode_shared(const Context& context) const;
    /// True when `bytes` bytes of text cannot fit in `tokens` tokens, whatever they are.
    [[nodiscard]] bool surely_longer(std::size_t bytes, int tokens) const noexcept;
    [[nodiscard]] std::string piece(Token token) const;
    [[nodiscard]] bool ends_generation(Token token) const;
    [[nodiscard]] bool has_chat_template() const noexcept { return has_chat_template_; }
    [[nodiscard]] std::size_t vocabulary() const noexcept { return vocabulary_; }

  private:
    struct Part {
        std::string text;
        bool control = false;
    };
    void read_chat_template(const llama_model& model);
    [[nodiscard]] std::vector<Part> split_control(std::string_view text) const;
    [[nodiscard]] std::vector<Token> encode_parts(const std::vector<Part>& parts) const;
    [[nodiscard]] static std::vector<Part> join(std::vector<Part> head,
                                                std::string_view text,
                                                const std::vector<Part>& tail);

    const llama_vocab* vocab_;
    std::size_t vocabulary_;
    std::size_t longest_piece_ = 1;
    std::vector<std::string> control_texts_;
    bool has_chat_template_ = false;
    std::vector<Part> begin_;
    std::vector<Part> chat_before_;
    std::vector<Part> chat_after_;
};

}  // namespace dln
