#include "mop/gradient_sum.hpp"

#include <algorithm>
#include <cmath>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

namespace dln::mop {
namespace {

// A sum over a text's tokens beyond this has gone astray; 2^31 of these and the sums would overflow.
constexpr double kLargest = 1e6;
constexpr std::size_t kOtherCells = 3;

bool is_sound(double value) { return std::isfinite(value) && std::abs(value) < kLargest; }

}  // namespace

bool is_sound(const MixtureParameters& parameters) {
    return std::ranges::all_of(parameters.parts(), [](const nn::Matrix* part) {
        return std::ranges::all_of(part->values, [](float value) { return is_sound(value); });
    });
}

GradientSum::GradientSum(const MixtureShape& shape)
    : shape_(shape), cells_(zero_parameters(shape).size() + kOtherCells) {}

GradientSum::GradientSum(const MixtureShape& shape, std::vector<std::int64_t> cells)
    : shape_(shape), cells_(std::move(cells)) {
    DLN_ASSERT(cells_.size() == zero_parameters(shape).size() + kOtherCells, "{} cells",
               cells_.size());
}

void GradientSum::add(const LossGradient& unit) {
    const std::size_t others = cells_.size() - kOtherCells;
    if (!is_sound(unit.loss.nll) || !is_sound(unit.gradient)) {
        ++cells_[others + 2];
        return;
    }
    std::size_t at = 0;
    for (const nn::Matrix* part : unit.gradient.parts()) {
        for (const float value : part->values) cells_[at++] += to_fixed_point(value);
    }
    cells_[others] += to_fixed_point(unit.loss.nll);
    cells_[others + 1] += static_cast<std::int64_t>(unit.loss.tokens);
}

TrainedStep GradientSum::step() const {
    const std::size_t others = cells_.size() - kOtherCells;
    return {.nll = from_fixed_point(cells_[others]),
            .tokens = cells_[others + 1],
            .has_diverged = cells_[others + 2] > 0};
}

MixtureParameters GradientSum::mean() const {
    const auto tokens = static_cast<double>(step().tokens);
    MixtureParameters gradient = zero_parameters(shape_);
    std::size_t at = 0;
    for (nn::Matrix* part : gradient.parts()) {
        for (float& value : part->values) {
            value = static_cast<float>(from_fixed_point(cells_[at++]) / tokens);
        }
    }
    return gradient;
}

}  // namespace dln::mop
