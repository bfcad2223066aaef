#pragma once
// A request being computed: a state machine that does one llama_decode at a time, so that the rank's loop
// gets its turn between decodes.

#include <memory>

#include "dln/llm/backend.hpp"

#include "llm/embedded/decoder.hpp"
#include "llm/embedded/llama_model.hpp"

namespace dln {

/// What a request's computation may use.
struct ModelAccess {
    Decoder& decoder;
    const LlamaTokenizer& tokenizer;
    int context_tokens;  ///< most tokens of one context with its target or output
};

class Work {
  public:
    virtual ~Work() = default;
    /// Does the next decode. Returns true when the reply is complete.
    [[nodiscard]] virtual bool advance() = 0;
    [[nodiscard]] virtual Reply take_reply() = 0;
    [[nodiscard]] const Usage& usage() const noexcept { return usage_; }

  protected:
    Usage usage_;
};

[[nodiscard]] std::unique_ptr<Work> make_score_work(ModelAccess access, ScoreRequest request);
[[nodiscard]] std::unique_ptr<Work> make_generate_work(ModelAccess access, GenerateRequest request);
[[nodiscard]] std::unique_ptr<Work> make_embed_work(ModelAccess access,
                                                    const EmbedRequest& request);

/// The message of an item whose context cannot be taken.
[[nodiscard]] std::string too_long_message(std::size_t tokens, int room, int context_tokens);

}  // namespace dln
