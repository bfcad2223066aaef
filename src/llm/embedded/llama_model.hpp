#pragma once
// RAII over llama.cpp's C API, and texts to tokens and back. llama.h is included in this folder only.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <llama.h>

#include "dln/llm/tokenizer.hpp"

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

/// Which parts of a model file are wanted.
enum class ModelParts { all, tokenizer };

/// Maps the GGUF file at `path`; throws BackendError that names it.
[[nodiscard]] LlamaModelHandle load_llama_model(const std::string& path,
                                                ModelParts parts = ModelParts::all);

/// The message about a file that is no model that llama.cpp can read.
[[nodiscard]] std::string unusable_model(const std::string& path);

/// Sends llama.cpp's log to spdlog (its warnings as warnings, the rest as debug). Idempotent.
void route_llama_log();

/// llama.cpp's, of a model that outlives it.
class LlamaTokenizer : public Tokenizer {
  public:
    LlamaTokenizer(const llama_model& model, const std::string& begin_text);
    [[nodiscard]] std::vector<Token> encode(const Context& context,
                                            std::string_view target = {}) const override;
    /// Tokens of what is before the end of the context's shared bytes.
    [[nodiscard]] std::vector<Token> encode_shared(const Context& context) const;
    /// True when `bytes` bytes of text cannot fit in `tokens` tokens, whatever they are.
    [[nodiscard]] bool surely_longer(std::size_t bytes, int tokens) const noexcept;
    [[nodiscard]] std::string piece(Token token) const override;
    [[nodiscard]] bool ends_generation(Token token) const override;
    [[nodiscard]] std::optional<Token> end_token() const override;
    [[nodiscard]] bool has_chat_template() const noexcept override { return has_chat_template_; }
    [[nodiscard]] std::size_t vocabulary() const noexcept override { return vocabulary_; }

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
