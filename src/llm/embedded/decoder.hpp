#pragma once
// One llama.cpp context and the layout of its key-value cache: the candidate's prefix in the first cells
// under sequence 0, whatever is being computed behind it under sequences 1, 2, ... The layout is a
// function of the work alone, which is what makes results bit-equal wherever they are computed.

#include <span>
#include <string>
#include <vector>

#include "llm/embedded/llama_model.hpp"
#include "llm/embedded/token_tree.hpp"

namespace dln {

struct DecoderOptions {
    int cells = 4096;           ///< of the key-value cache
    int tokens_a_decode = 512;  ///< most tokens given to one llama_decode
    int sequences = 128;        ///< most sequences besides the prefix
    int rows_a_decode = 160;    ///< most rows of logits from one llama_decode; > sequences
    int threads = 1;
    bool f16_cache = false;
    std::string place = "/backend";  ///< of the backend in its job, for messages
};

/// A token to decode: its place and the sequences (1-based) that it belongs to.
struct DecodeToken {
    Token token = 0;
    int position = 0;
    std::span<const int> sequences;  ///< 0-based ids of the tree; shifted by one inside
    bool wants_logits = false;
};

class Decoder {
  public:
    Decoder(llama_model& model, const DecoderOptions& options);
    [[nodiscard]] const DecoderOptions& options() const noexcept { return options_; }
    [[nodiscard]] llama_context& context() noexcept { return *context_; }

    /// Forgets everything behind the prefix when the cached prefix is `prefix`, else everything.
    /// Returns the number of prefix tokens that still have to be decoded: none or all.
    std::size_t begin(std::span<const Token> prefix);
    /// Decodes the next piece of the prefix; returns how many tokens it took. Throws InternalError when
    /// llama.cpp fails.
    std::size_t decode_prefix_piece();
    /// Makes the prefix visible to sequences 0..count-1. Call when the prefix is complete.
    void share_prefix(int count);
    /// Decodes `tokens`, at most tokens_a_decode. Afterwards logits_of(i) of those that want them.
    void decode(std::span<const DecodeToken> tokens);
    /// Row of logits of the i-th token of the last decode. Pre: it wanted logits.
    [[nodiscard]] std::span<const float> logits_of(std::size_t i);
    /// Decodes `tokens`, at most rows_a_decode, for their hidden states: afterwards state_of(i) of each, no logits.
    void decode_states(std::span<const DecodeToken> tokens);
    /// The last hidden state of the i-th token of the last decode_states, after the final norm.
    [[nodiscard]] std::span<const float> state_of(std::size_t i);
    /// Drops sequence `sequence` (0-based).
    void drop(int sequence);

  private:
    void run(std::span<const DecodeToken> tokens, int sequence_shift);

    DecoderOptions options_;
    LlamaContextHandle context_;
    std::size_t vocabulary_;
    std::size_t state_size_;
    std::vector<Token> prefix_;
    std::size_t prefix_decoded_ = 0;
    int shared_with_ = 0;
};

}  // namespace dln
