#pragma once
// How much prompts differ in truth, in units of the noise that a batch leaves in their scores: what decides
// how often a step replaces the incumbent. Rank 0 only.

#include <array>
#include <vector>

#include "dln/engine/engine.hpp"
#include "dln/job/job.hpp"
#include "dln/network/network.hpp"

#include "train/plan_texts.hpp"

namespace dln {

/// How likely each of some spreads is.
struct Spreads {
    static constexpr std::array<double, 4> kValues{0.0, 1.0, 2.0, 4.0};
    std::array<double, 4> weights{};  ///< sum to 1
    Usage sent;
    /// The spread at `place` in [0, 1) of the distribution.
    [[nodiscard]] double at(double place) const;
};

/// Before anything is known: in half of all runs nothing but chance tells prompts apart.
[[nodiscard]] Spreads expected_spreads();

/// With what is seen of it: `ratio` is that of the variance between prompts (of their means over `examples`
/// examples each, times `examples`) to the variance that is left within; a batch has `batch` examples.
[[nodiscard]] Spreads spreads_by_ratio(double ratio,
                                       std::size_t prompts,
                                       std::size_t examples,
                                       std::size_t batch);

/// The ratio of `scores`, [prompt][example]; negative: nothing varies within.
[[nodiscard]] double variance_ratio(const std::vector<std::vector<double>>& scores);

/// Scores the initial and some sampled prompts on some training examples. The engine's other ranks must
/// serve. What cannot be measured stays as expected.
[[nodiscard]] Spreads measured_spreads(const Job& job,
                                       const Network& network,
                                       const std::vector<Dataset>& splits,
                                       Engine& engine,
                                       const TextFacts& facts);

}  // namespace dln
