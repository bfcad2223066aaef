#pragma once
// What GGUF files call the tensors of a model of the Llama family, and their shapes.

#include <cstddef>
#include <string>

#include "dln/llm/gguf_weights.hpp"

namespace dln {

inline constexpr const char* kArchitecture = "llama";
inline constexpr const char* kEmbeddingName = "token_embd.weight";
inline constexpr const char* kOutputNormName = "output_norm.weight";
inline constexpr const char* kOutputName = "output.weight";

struct TensorSize {
    std::size_t rows = 0;
    std::size_t columns = 0;
};

[[nodiscard]] std::string tensor_name(std::size_t block, BlockTensor which);
[[nodiscard]] TensorSize tensor_size(const GgufShape& shape, BlockTensor which);

}  // namespace dln
