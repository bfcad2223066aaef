#pragma once
// Maps one F32 file, wherever it lies.

#include <string>

#include "dln/llm/gguf_weights.hpp"

namespace dln {

/// Throws as open_gguf_weights does, and when the tensors are not those whose digest the file holds (variants have
/// one). The identity is that digest, or empty.
[[nodiscard]] GgufWeights map_gguf_weights(const std::string& path);

}  // namespace dln
