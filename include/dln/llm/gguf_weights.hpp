#pragma once
// The weights of a model of the Llama family in fp32, for code that computes such a model itself. They are those of the
// copy that the embedded backend maps too, so that all ranks of a node share its pages. Any rank; ranks of a node may
// open a model at the same time.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dln {

struct GgufShape {
    std::size_t blocks = 0;
    std::size_t width = 0;        ///< of hidden states
    std::size_t inner_width = 0;  ///< of the feed-forward layers
    std::size_t heads = 0;
    std::size_t kv_heads = 0;  ///< divides heads: head h uses kv head h kv_heads / heads
    std::size_t head_size = 0;
    std::size_t vocabulary = 0;
    std::size_t context_tokens = 0;  ///< that it was trained with
    float rope_base = 0.0F;          ///< rotates neighbouring pairs of a head
    float norm_epsilon = 0.0F;
};

/// Row-major, in the mapped file.
struct FloatTensor {
    std::size_t rows = 0;
    std::size_t columns = 0;
    const float* values = nullptr;
};

/// The tensors of a block. Norms are [1, width]; the others [out, in], q and k with rows for interleaved rotation.
enum class BlockTensor : std::size_t {
    attention_norm,
    q,
    k,
    v,
    attention_output,
    ffn_norm,
    ffn_gate,
    ffn_up,
    ffn_down,
};
inline constexpr std::size_t kBlockTensors = 9;

struct GgufBlock {
    std::array<FloatTensor, kBlockTensors> tensors;
    [[nodiscard]] const FloatTensor& operator[](BlockTensor which) const {
        return tensors.at(static_cast<std::size_t>(which));
    }
};

struct GgufWeights {
    std::string path;      ///< of the mapped file
    std::string identity;  ///< of its content: stem, digest of the source, what was done to it
    GgufShape shape;
    FloatTensor embedding;  ///< [vocabulary, width]
    std::vector<GgufBlock> blocks;
    FloatTensor output_norm;              ///< [1, width]
    std::optional<FloatTensor> output;    ///< [vocabulary, width]; none: the embedding is used
    std::shared_ptr<const void> mapping;  ///< what the tensors point into
};

/// Finds the model (a path, or the stem of a file in the model cache), makes its F32 copy unless that is there, and maps
/// it. Throws BackendError that says file, fault and what would be right: no such file, damaged or cut short, not of
/// the Llama family, a feature that such code would have to know (scaled rotation, biases, experts, ...), a tensor
/// that is missing or of another shape, numbers that are not finite. `place` is that of the model in its job.
[[nodiscard]] GgufWeights open_gguf_weights(const std::string& model, const std::string& place);

}  // namespace dln
