#pragma once
// GGUF files of a tiny model of the Llama family with random weights, which tests may spoil before they are written.

#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include <ggml.h>
#include <gguf.h>

#include "dln/random/counter_rng.hpp"

namespace dln::testing {

class TinyGguf {
  public:
    static constexpr std::int64_t kBlocks = 2;
    static constexpr std::int64_t kWidth = 64;
    static constexpr std::int64_t kInner = 96;
    static constexpr std::int64_t kHeads = 4;
    static constexpr std::int64_t kKvHeads = 2;
    static constexpr std::int64_t kHeadSize = 16;
    static constexpr std::int64_t kVocabulary = 40;

    TinyGguf() {
        set_text("general.architecture", "llama");
        set_text("tokenizer.ggml.model", "no_vocab");
        set_integer("general.file_type", 0);
        set_integer("llama.vocab_size", kVocabulary);
        set_integer("llama.block_count", kBlocks);
        set_integer("llama.context_length", 128);
        set_integer("llama.embedding_length", kWidth);
        set_integer("llama.feed_forward_length", kInner);
        set_integer("llama.attention.head_count", kHeads);
        set_integer("llama.attention.head_count_kv", kKvHeads);
        set_number("llama.attention.layer_norm_rms_epsilon", 1e-5F);
        set_number("llama.rope.freq_base", 10000.0F);
        add("output_norm.weight", 1, kWidth);
        add("token_embd.weight", kVocabulary, kWidth);
        for (int b = 0; b < kBlocks; ++b) {
            const std::string block = "blk." + std::to_string(b) + ".";
            add(block + "attn_norm.weight", 1, kWidth);
            add(block + "attn_q.weight", kHeads * kHeadSize, kWidth);
            add(block + "attn_k.weight", kKvHeads * kHeadSize, kWidth);
            add(block + "attn_v.weight", kKvHeads * kHeadSize, kWidth);
            add(block + "attn_output.weight", kWidth, kHeads * kHeadSize);
            add(block + "ffn_norm.weight", 1, kWidth);
            add(block + "ffn_gate.weight", kInner, kWidth);
            add(block + "ffn_up.weight", kInner, kWidth);
            add(block + "ffn_down.weight", kWidth, kInner);
        }
    }

    void set_text(const char* key, const char* value) { gguf_set_val_str(file_.get(), key, value); }
    void set_integer(const char* key, std::uint32_t value) {
        gguf_set_val_u32(file_.get(), key, value);
    }
    void set_number(const char* key, float value) { gguf_set_val_f32(file_.get(), key, value); }
    void remove(const char* key) { gguf_remove_key(file_.get(), key); }

    /// A tensor of random numbers, which all depend on their place alone.
    void add(const std::string& name, std::int64_t rows, std::int64_t columns) {
        ggml_tensor* tensor = rows == 1
                                  ? ggml_new_tensor_1d(memory_.get(), GGML_TYPE_F32, columns)
                                  : ggml_new_tensor_2d(memory_.get(), GGML_TYPE_F32, columns, rows);
        if (tensor == nullptr) throw std::runtime_error("no memory for " + name);
        ggml_set_name(tensor, name.c_str());
        auto* values = static_cast<float*>(tensor->data);
        CounterRng random({.seed = 1, .example = tensors_++});
        const double scale = 2.0 / std::sqrt(static_cast<double>(columns));
        for (std::int64_t i = 0; i < rows * columns; ++i) {
            values[i] = static_cast<float>(rows == 1 ? 0.5 + random.uniform()
                                                     : scale * (random.uniform() - 0.5));
        }
        gguf_add_tensor(file_.get(), tensor);
    }
    /// Pre: the tensor is there.
    float* values(const char* name) {
        return static_cast<float*>(ggml_get_tensor(memory_.get(), name)->data);
    }
    /// All but this one.
    void write_without(const char* name, const std::string& path) const {
        const Handle<gguf_context, gguf_free> other(gguf_init_empty());
        gguf_set_kv(other.get(), file_.get());
        for (std::int64_t i = 0; i < gguf_get_n_tensors(file_.get()); ++i) {
            const char* its = gguf_get_tensor_name(file_.get(), i);
            if (std::string(its) == name) continue;
            gguf_add_tensor(other.get(), ggml_get_tensor(memory_.get(), its));
        }
        write(*other, path);
    }
    void write(const std::string& path) const { write(*file_, path); }

  private:
    template <typename T, void (*Free)(T*)>
    struct Deleter {
        void operator()(T* it) const { Free(it); }
    };
    template <typename T, void (*Free)(T*)>
    using Handle = std::unique_ptr<T, Deleter<T, Free>>;

    static void write(const gguf_context& file, const std::string& path) {
        if (!gguf_write_to_file(&file, path.c_str(), false)) {
            throw std::runtime_error("cannot write " + path);
        }
    }

    Handle<ggml_context, ggml_free> memory_{
        ggml_init({.mem_size = std::size_t{1} << 21, .mem_buffer = nullptr, .no_alloc = false})};
    Handle<gguf_context, gguf_free> file_{gguf_init_empty()};
    std::uint64_t tensors_ = 0;
};

}  // namespace dln::testing
