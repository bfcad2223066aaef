#pragma once
// Adam (D. P. Kingma, J. Ba, arXiv 1412.6980) for a mixture: one rate for the prompts, one for the gate. Pure; the rank
// that holds the parameters.

#include <cstdint>

#include "dln/mop/mixture.hpp"

namespace dln::mop {

struct AdamRates {
    double prompts = 1e-2;
    double gate = 1e-4;
};

/// Moments of the gradients so far.
struct AdamState {
    MixtureParameters first;
    MixtureParameters second;
    std::int64_t steps = 0;
    friend bool operator==(const AdamState&, const AdamState&) = default;
};

/// Before any step.
[[nodiscard]] AdamState fresh_adam(const MixtureShape& shape);

/// One step against `gradient` (algorithm 1 there, with beta 0.9 and 0.999, epsilon 1e-8).
void take_adam_step(const AdamRates& rates,
                    const MixtureParameters& gradient,
                    AdamState& state,
                    MixtureParameters& parameters);

/// The Euclidean norm of all parts together.
[[nodiscard]] double norm(const MixtureParameters& gradient);
/// Multiplies all parts by `factor`.
void scale(MixtureParameters& gradient, double factor);
/// Scales a gradient that is longer than `limit` to that length. 0: no limit.
void clip(MixtureParameters& gradient, double limit);

}  // namespace dln::mop
