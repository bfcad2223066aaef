#pragma once
// How much prompts differ in truth, in units of the noise that a batch leaves in their scores: what decides
// how often a step replaces the incumbent. Rank 0 only.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "dln/engine/engine.hpp"
#include "dln/job/job.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// How likely each of some spreads is.
struct Spreads {
    static constexpr std::array<double, 4> kValues{0.0, 1.0, 2.0, 4.0};
    std::array<double, 4> weights{};  ///< sum to 1
    Usage sent;
    /// Scores of the initial prompt and the first sampled ones, in units of a batch's noise around their mean;
    /// none: nothing was measured. On so many examples of the first step's batch.
    std::vector<double> measured = {};
    std::size_t measured_on = 0;
    /// Standard deviation of what is left of a score when prompt and example are taken off, in units of that of
    /// examples under all prompts; none: nothing was measured.
    std::optional<double> own_noise = std::nullopt;
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

/// Of `scores`, [prompt][example]: between prompts (of their means, times the number of examples), what is left
/// within, of a single score, and of examples in truth, whatever the prompt (never negative).
struct Variances {
    double between = 0.0;
    double within = 0.0;
    double examples = 0.0;
    /// Negative: nothing varies within.
    [[nodiscard]] double ratio() const { return within > 0.0 ? between / within : -1.0; }
};
[[nodiscard]] Variances variances(const std::vector<std::vector<double>>& scores);

/// Scores the last layer's initial and some `proposed` prompts on some training examples. The engine's other ranks must
/// serve. What cannot be measured stays as expected.
[[nodiscard]] Spreads measured_spreads(const Job& job,
                                       const Network& network,
                                       const std::vector<Dataset>& splits,
                                       Engine& engine,
                                       const std::vector<std::string>& proposed);

}  // namespace dln
