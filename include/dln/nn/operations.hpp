#pragma once
// Operations on a tape. Rows are tokens (or examples), columns features. `frozen` matrices are the base model's: no
// gradient is computed of them, they are not copied, and they must outlive the tape. Any rank; deterministic.

#include <cstdint>
#include <vector>

#include "dln/nn/matrix.hpp"
#include "dln/nn/tape.hpp"

namespace dln::nn {

/// x w^T: x [n, in], w [out, in], result [n, out].
[[nodiscard]] Variable linear(Tape& tape, Variable x, MatrixView frozen_weight);
/// x w^T + b, b [1, out] for each row.
[[nodiscard]] Variable linear(Tape& tape, Variable x, Variable weight, Variable bias);

/// Element-wise, of equal shapes.
[[nodiscard]] Variable add(Tape& tape, Variable a, Variable b);
/// x / (1 + e^-x), element-wise.
[[nodiscard]] Variable silu(Tape& tape, Variable x);
/// silu(gate) up, element-wise: the middle of a SwiGLU block.
[[nodiscard]] Variable swiglu(Tape& tape, Variable gate, Variable up);
/// x / sqrt(mean(x^2) + epsilon) w for each row, w [1, columns].
[[nodiscard]] Variable rms_norm(Tape& tape, Variable x, MatrixView frozen_weight, float epsilon);
/// Rotary position embedding on neighbouring pairs of each head: pair i of a row at position t is turned by
/// t base^(-2 i / head_size). `positions`: one a row. x [n, heads * head_size].
[[nodiscard]] Variable rotate(
    Tape& tape, Variable x, std::vector<std::int32_t> positions, std::size_t head_size, float base);

/// Of each row.
[[nodiscard]] Variable softmax(Tape& tape, Variable x);
/// log max(x, floor), element-wise; where x is below the floor no gradient passes.
[[nodiscard]] Variable log_at_least(Tape& tape, Variable x, float floor);
/// These rows of x, in this order; a row may come more than once.
[[nodiscard]] Variable rows_of(Tape& tape, Variable x, std::vector<std::size_t> rows);
/// The rows of `a`, then those of `b`.
[[nodiscard]] Variable stacked(Tape& tape, Variable a, Variable b);

/// Mean over rows of -log softmax(logits)[target], 1 x 1. `targets`: one a row.
[[nodiscard]] Variable cross_entropy(Tape& tape,
                                     Variable logits,
                                     std::vector<std::int32_t> targets);
/// The same with shares of several targets: mean over rows of -sum_c shares[c] log softmax(logits)[c]. `shares`: of
/// the shape of the logits; each row's shares add up to 1.
[[nodiscard]] Variable cross_entropy_of_shares(Tape& tape, Variable logits, const Matrix& shares);

}  // namespace dln::nn
