#pragma once
// A model's texts to tokens and back. Control tokens come from the model's own chat template only: text of the user
// that spells one ("<|im_end|>") stays ordinary text. Any rank; does not change when used.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

class Tokenizer {
  public:
    virtual ~Tokenizer() = default;
    /// Tokens of the context (chat template and begin-of-text token included) followed by `target`.
    [[nodiscard]] virtual std::vector<std::int32_t> encode(const Context& context,
                                                           std::string_view target = {}) const = 0;
    /// The bytes that a token stands for, which may be part of a character; empty for control tokens.
    [[nodiscard]] virtual std::string piece(std::int32_t token) const = 0;
    /// Whether a text that is being generated ends before this token.
    [[nodiscard]] virtual bool ends_generation(std::int32_t token) const = 0;
    /// The token that stands behind an answer; none where the model has no such token.
    [[nodiscard]] virtual std::optional<std::int32_t> end_token() const = 0;
    [[nodiscard]] virtual bool has_chat_template() const noexcept = 0;
    /// Number of tokens that the model knows.
    [[nodiscard]] virtual std::size_t vocabulary() const noexcept = 0;
};

/// The tokenizer of the GGUF file at `path`, without its weights. `begin_text` is put before every context that is no
/// chat; control tokens that it spells are tokens. Throws BackendError that names the file.
[[nodiscard]] std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path,
                                                        const std::string& begin_text = {});

}  // namespace dln
