#include "llm/embedded/decoder.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/error.hpp"

namespace dln {
namespace {

LlamaContextHandle make_context(llama_model& model, const DecoderOptions& options) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(options.cells);
    params.n_batch = static_cast<uint32_t>(options.tokens_a_decode);
    params.n_ubatch = params.n_batch;
    params.n_seq_max = static_cast<uint32_t>(options.sequences + 1);
    params.n_outputs_max = static_cast<uint32_t>(options.rows_a_decode);
    params.n_threads = options.threads;
    params.n_threads_batch = options.threads;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.type_k = options.f16_cache ? GGML_TYPE_F16 : GGML_TYPE_F32;
    params.type_v = params.type_k;
    params.kv_unified = true;  // sequences share cells
    params.no_perf = true;
    LlamaContextHandle context(llama_init_from_model(&model, params));
    if (!context) {
        throw BackendError(
            fmt::format("llama.cpp cannot make a context of {} cells: not enough memory? Lower "
                        "{}/context_tokens.",
                        options.cells, options.place));
    }
    return context;
}

// llama_batch over memory of ours.
class Batch {
  public:
    explicit Batch(std::size_t capacity) {
        token_.reserve(capacity);
        position_.reserve(capacity);
        counts_.reserve(capacity);
        ids_.reserve(capacity);
        logits_.reserve(capacity);
    }
    void add(const DecodeToken& entry, int sequence_shift) {
        std::vector<llama_seq_id>& ids = storage_.emplace_back();
        for (const int sequence : entry.sequences) ids.push_back(sequence + sequence_shift);
        token_.push_back(entry.token);
        position_.push_back(entry.position);
        counts_.push_back(static_cast<int32_t>(ids.size()));
        logits_.push_back(entry.wants_logits ? 1 : 0);
    }
    [[nodiscard]] llama_batch view() {
        for (auto& ids : storage_) ids_.push_back(ids.data());
        return {.n_tokens = static_cast<int32_t>(token_.size()),
                .token = token_.data(),
                .embd = nullptr,
                .pos = position_.data(),
                .n_seq_id = counts_.data(),
                .seq_id = ids_.data(),
                .logits = logits_.data()};
    }

  private:
    std::vector<llama_token> token_;
    std::vector<llama_pos> position_;
    std::vector<int32_t> counts_;
    std::vector<std::vector<llama_seq_id>> storage_;
    std::vector<llama_seq_id*> ids_;
    std::vector<int8_t> logits_;
};

}  // namespace

Decoder::Decoder(llama_model& model, const DecoderOptions& options)
    : options_(options),
      context_(make_context(model, options)),
      vocabulary_(static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(&model)))),
      state_size_(static_cast<std::size_t>(llama_model_n_embd(&model))) {}

std::size_t Decoder::begin(std::span<const Token> prefix) {
    const llama_memory_t memory = llama_get_memory(context_.get());
    if (prefix_decoded_ == prefix_.size() && std::ranges::equal(prefix, prefix_) &&
        !prefix_.empty()) {
        for (int sequence = 1; sequence <= shared_with_; ++sequence) {
            llama_memory_seq_rm(memory, sequence, -1, -1);
        }
    } else {
        llama_memory_clear(memory, false);
        prefix_.assign(prefix.begin(), prefix.end());
        prefix_decoded_ = 0;
    }
    shared_with_ = 0;
    return prefix_.size() - prefix_decoded_;
}

std::size_t Decoder::decode_prefix_piece() {
    const std::size_t count = std::min(prefix_.size() - prefix_decoded_,
                                       static_cast<std::size_t>(options_.tokens_a_decode));
    static const std::vector<int> prefix_sequence{0};
    std::vector<DecodeToken> tokens;
    for (std::size_t i = 0; i < count; ++i) {
        tokens.push_back({.token = prefix_[prefix_decoded_ + i],
                          .position = static_cast<int>(prefix_decoded_ + i),
                          .sequences = prefix_sequence});
    }
    if (count > 0) run(tokens, 0);
    prefix_decoded_ += count;
    return count;
}

void Decoder::share_prefix(int count) {
    const llama_memory_t memory = llama_get_memory(context_.get());
    if (!prefix_.empty()) {
        for (int sequence = 1; sequence <= count; ++sequence) {
            llama_memory_seq_cp(memory, 0, sequence, -1, -1);
        }
    }
    shared_with_ = std::max(shared_with_, count);
}

void Decoder::decode(std::span<const DecodeToken> tokens) { run(tokens, 1); }

void Decoder::run(std::span<const DecodeToken> tokens, int sequence_shift) {
    Batch batch(tokens.size());
    for (const DecodeToken& token : tokens) batch.add(token, sequence_shift);
    const int status = llama_decode(context_.get(), batch.view());
    if (status != 0) {
        prefix_.clear();
        prefix_decoded_ = 0;
        throw InternalError(
            fmt::format("llama_decode of {} tokens failed with status {}", tokens.size(), status));
    }
}

std::span<const float> Decoder::logits_of(std::size_t i) {
    const float* row = llama_get_logits_ith(context_.get(), static_cast<int32_t>(i));
    DLN_ASSERT(row != nullptr, "no logits for token {} of the batch", i);
    return {row, vocabulary_};
}

void Decoder::decode_states(std::span<const DecodeToken> tokens) {
    llama_set_embeddings(context_.get(), true);
    run(tokens, 1);
    llama_set_embeddings(context_.get(), false);
}

std::span<const float> Decoder::state_of(std::size_t i) {
    const float* row = llama_get_embeddings_ith(context_.get(), static_cast<int32_t>(i));
    DLN_ASSERT(row != nullptr, "no hidden state for token {} of the batch", i);
    return {row, state_size_};
}

void Decoder::drop(int sequence) {
    llama_memory_seq_rm(llama_get_memory(context_.get()), sequence + 1, -1, -1);
}

}  // namespace dln
