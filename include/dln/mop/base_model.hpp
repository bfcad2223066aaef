#pragma once
// The frozen model that prompts are trained for, from a GGUF file. Any rank; ranks of a node share the mapped file.

#include "dln/llm/gguf_weights.hpp"
#include "dln/mop/llama.hpp"

namespace dln::mop {

/// The same numbers, not copied: the result holds the mapping of `weights`.
[[nodiscard]] LlamaWeights llama_weights(const GgufWeights& weights);

}  // namespace dln::mop
