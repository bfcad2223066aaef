#pragma once
// e^x for loops over many numbers. Private to src/nn.

#include <bit>
#include <cstdint>

namespace dln::nn {

/// e^x within 2e-7 of it, relatively; x below -87 counts as -87 and above 88 as 88. NaN stays NaN. Without branches and
/// calls, so that compilers make vector instructions of a loop over it: std::exp took a tenth of a training step.
inline float exponential(float x) {
    constexpr float kRound = 0x1.8p23F;  // adding it leaves an integer in the low bits
    constexpr float kLog2E = 0x1.715476p0F;
    constexpr float kLn2High = 0x1.62e4p-1F;  // few enough bits for an exact product
    constexpr float kLn2Low = 0x1.7f7d1c0p-20F;
    x = x < -87.0F ? -87.0F : x;
    x = x > 88.0F ? 88.0F : x;
    const float shifted = x * kLog2E + kRound;
    const float n = shifted - kRound;
    const float r = (x - n * kLn2High) - n * kLn2Low;  // |r| <= ln 2 / 2
    // Taylor's series; what is left out is below 2^-27.
    float sum = 1.0F / 5040.0F;
    sum = sum * r + 1.0F / 720.0F;
    sum = sum * r + 1.0F / 120.0F;
    sum = sum * r + 1.0F / 24.0F;
    sum = sum * r + 1.0F / 6.0F;
    sum = sum * r + 0.5F;
    sum = sum * r + 1.0F;
    sum = sum * r + 1.0F;
    const std::uint32_t power = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U;
    return sum * std::bit_cast<float>(power);  // 2^n
}

}  // namespace dln::nn
