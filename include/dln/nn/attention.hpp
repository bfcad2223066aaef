#pragma once
// Causal attention of several sequences, each after a prefix that all share, whose groups of rows are weighted for each
// sequence: the mixture of prompts of arXiv 2310.02842, with its experts as groups. Grouped-query heads.

#include <cstddef>
#include <optional>
#include <vector>

#include "dln/nn/tape.hpp"

namespace dln::nn {

struct AttentionShape {
    std::vector<std::size_t> lengths;  ///< rows of each sequence, one after the other in q, k, v
    std::size_t heads = 1;
    std::size_t kv_heads = 1;  ///< divides heads: head h uses kv head h kv_heads / heads
    std::size_t head_size = 0;
};

/// Keys and values [groups * p, kv_heads * head_size] that stand before each sequence, p rows a group, and the log of
/// the weight that each sequence gives to each group, [sequences, groups].
struct AttentionPrefix {
    Variable k;
    Variable v;
    Variable log_weight;
};

/// softmax over prefix and own earlier rows of q k / sqrt(head_size) + log_weight (0 for own rows), times v. q
/// [n, heads * head_size], k and v [n, kv_heads * head_size]; result as q.
[[nodiscard]] Variable causal_attention(Tape& tape,
                                        Variable q,
                                        Variable k,
                                        Variable v,
                                        const AttentionShape& shape,
                                        const std::optional<AttentionPrefix>& prefix = {});

}  // namespace dln::nn
