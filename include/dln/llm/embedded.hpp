#pragma once
// The embedded backend: llama.cpp inside the process, no server, no network. One object a rank; the
// mapped model file is shared by all ranks of a node through the page cache. What it promises beyond
// backend.hpp: a result depends on the request alone, to the last bit, on one build and kind of CPU.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

enum class WeightType { f32, f16, as_is };
enum class CacheType { f32, f16 };

struct EmbeddedOptions {
    /// A path to a GGUF file, or the stem of one in the model cache ($DLN_CACHE/models).
    std::string model;
    /// Weights that scores are computed with. f32 and f16 are made from the file once and cached:
    /// kernels for quantised weights round activations too, which costs up to a nat of noise a score.
    WeightType weights = WeightType::f32;
    CacheType kv_cache = CacheType::f32;
    /// The most tokens of one context with its target or output.
    int context_tokens = 2048;
    int threads = 1;
    /// Put before every context that is no chat; control tokens that it spells are tokens.
    std::string begin_text;
    std::string place = "/backend";  ///< of these options in a job, for messages
};

/// True when this build can make one (llama.cpp was found).
[[nodiscard]] bool embedded_backend_available() noexcept;

/// Loads the model. Throws BackendError that names the file when it is absent, truncated, no GGUF, or
/// when this build has no embedded backend. Any rank; ranks of a node may call it at the same time.
[[nodiscard]] std::unique_ptr<Backend> make_embedded_backend(const EmbeddedOptions& options);

/// The folder that downloaded and converted models lie in: $DLN_CACHE/models, by default
/// ~/.cache/dln/models.
[[nodiscard]] std::string model_cache_directory();

/// A benchmark's yardstick, never used for training: scores each target alone, with logits for every
/// token of the context, the cache cleared before each, on the backend's own model and context.
/// Pre: `backend` came from make_embedded_backend and nothing is pending.
[[nodiscard]] Completion score_each_alone(Backend& backend, const ScoreRequest& request);

/// The logits behind each of `tokens`, as llama.cpp computes them: what other code that computes the model is compared
/// with. Pre: as above, and no more tokens than the backend gives rows of logits for in one decode (160).
[[nodiscard]] std::vector<std::vector<float>> logits_of_all(
    Backend& backend, const std::vector<std::int32_t>& tokens);

/// Another yardstick: decodes `sequences` sequences from the given context for `tokens` steps with bare
/// llama.cpp calls and greedy choice; returns the tokens decoded.
[[nodiscard]] std::int64_t decode_bare(Backend& backend,
                                       const Context& context,
                                       int sequences,
                                       int tokens);

}  // namespace dln
