#pragma once
// The sum of gradients of texts in 64-bit integers: exact, so that neither the order nor the number of ranks matters.

#include <cstdint>
#include <vector>

#include "dln/mop/loss.hpp"
#include "dln/mop/ranks.hpp"

namespace dln::mop {

/// False when a number is not finite, or as large as none should be.
[[nodiscard]] bool is_sound(const MixtureParameters& parameters);

class GradientSum {
  public:
    explicit GradientSum(const MixtureShape& shape);
    /// What cells() gave, perhaps summed over ranks.
    GradientSum(const MixtureShape& shape, std::vector<std::int64_t> cells);

    void add(const LossGradient& unit);
    [[nodiscard]] const std::vector<std::int64_t>& cells() const noexcept { return cells_; }
    [[nodiscard]] TrainedStep step() const;
    /// Over tokens.
    [[nodiscard]] MixtureParameters mean() const;

  private:
    MixtureShape shape_;
    std::vector<std::int64_t> cells_;  // gradient, then nll, tokens, units that have diverged
};

}  // namespace dln::mop
