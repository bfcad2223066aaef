#pragma once
// From a row of logits to log-probabilities and samples. Pure.

#include <cstdint>
#include <span>

namespace dln {

/// log of the sum of exp over `logits`, the maximum subtracted first, summed in double in index order.
/// NaN in, NaN out.
[[nodiscard]] double log_sum_exp(std::span<const float> logits);

/// The most probable token; the lowest index among equals.
[[nodiscard]] std::int32_t argmax_token(std::span<const float> logits);

/// Draws a token from softmax(logits / temperature), restricted to the smallest set of most probable
/// tokens with mass >= top_p. `uniform` in [0, 1) decides. Tokens more than 30 nats/temperature below the
/// best are never drawn. temperature 0: argmax.
[[nodiscard]] std::int32_t sample_token(std::span<const float> logits,
                                        double temperature,
                                        double top_p,
                                        double uniform);

}  // namespace dln
