#pragma once
// A model with other numbers in the linear layers of its blocks, kept as an F32 file in the model cache, so that it is
// made once and mapped by all ranks. Any rank; ranks of a node may call these at the same time.

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dln/llm/compression.hpp"
#include "dln/llm/gguf_weights.hpp"

namespace dln {

/// The matrices that a variant may change: all of a block but the norms. Embedding, head and norms stay as they are.
inline constexpr std::array<BlockTensor, 7> kLinearLayers{
    BlockTensor::q,        BlockTensor::k,      BlockTensor::v,       BlockTensor::attention_output,
    BlockTensor::ffn_gate, BlockTensor::ffn_up, BlockTensor::ffn_down};

/// The values of a block's tensors, by BlockTensor.
using BlockValues = std::array<std::vector<float>, kBlockTensors>;
/// Changes values of linear layers; called for each block in their order.
using ChangeBlock = std::function<void(std::size_t block, BlockValues& values)>;

/// Maps the variant of `source`; makes it with `change` if it is not there or damaged (a warning says so), one process of
/// a node at a time. `name` is for people and part of the file's name and of the result's identity, as is a digest of
/// `depends_on`, which must hold all that `change` depends on besides `source`. Throws BackendError when the cache
/// cannot hold it, and what `change` throws.
[[nodiscard]] GgufWeights open_variant(const GgufWeights& source,
                                       const std::string& name,
                                       const std::string& depends_on,
                                       const ChangeBlock& change);

/// Rounds the rows of a matrix through `type` by ggml's own functions. Throws BackendError when `columns` is not a
/// multiple of 32; without llama.cpp in the build, for all types but f32.
void round_through(StorageType type, std::size_t columns, std::span<float> values);

}  // namespace dln
