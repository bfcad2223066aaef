#include "dln/mop/base_model.hpp"

namespace dln::mop {
namespace {

nn::MatrixView view(const FloatTensor& tensor) {
    return {tensor.rows, tensor.columns, {tensor.values, tensor.rows * tensor.columns}};
}

LlamaBlock view(const GgufBlock& block) {
    return {.attention_norm = view(block[BlockTensor::attention_norm]),
            .q = view(block[BlockTensor::q]),
            .k = view(block[BlockTensor::k]),
            .v = view(block[BlockTensor::v]),
            .output = view(block[BlockTensor::attention_output]),
            .ffn_norm = view(block[BlockTensor::ffn_norm]),
            .gate = view(block[BlockTensor::ffn_gate]),
            .up = view(block[BlockTensor::ffn_up]),
            .down = view(block[BlockTensor::ffn_down])};
}

}  // namespace

LlamaWeights llama_weights(const GgufWeights& weights) {
    LlamaWeights result{.holder = weights.mapping,
                        .shape = {.width = weights.shape.width,
                                  .heads = weights.shape.heads,
                                  .kv_heads = weights.shape.kv_heads,
                                  .head_size = weights.shape.head_size,
                                  .rope_base = weights.shape.rope_base,
                                  .norm_epsilon = weights.shape.norm_epsilon},
                        .embedding = view(weights.embedding),
                        .blocks = {},
                        .output_norm = view(weights.output_norm),
                        .output = {}};
    for (const GgufBlock& block : weights.blocks) result.blocks.push_back(view(block));
    if (weights.output) result.output = view(*weights.output);
    return result;
}

}  // namespace dln::mop
