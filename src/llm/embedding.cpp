#include "dln/llm/embedding.hpp"

#include <array>
#include <cmath>

#include "dln/error.hpp"

namespace dln {

std::vector<float> normalised(std::span<const float> values) {
    double square = 0.0;
    for (const float value : values) square += static_cast<double>(value) * value;
    const double length = std::sqrt(square);
    std::vector<float> scaled(values.begin(), values.end());
    if (length == 0.0) return scaled;
    for (float& value : scaled) value = static_cast<float>(value / length);
    return scaled;
}

double cosine(std::span<const float> a, std::span<const float> b) {
    DLN_ASSERT(a.size() == b.size(), "vectors of {} and {} numbers", a.size(), b.size());
    // Sums beside each other, which a compiler may compute at once without changing their order.
    constexpr std::size_t kSums = 8;
    std::array<double, kSums> sums{};
    std::size_t i = 0;
    for (; i + kSums <= a.size(); i += kSums) {
        for (std::size_t s = 0; s < kSums; ++s) {
            sums[s] += static_cast<double>(a[i + s]) * static_cast<double>(b[i + s]);
        }
    }
    for (std::size_t s = 0; i < a.size(); ++i, ++s) {
        sums[s] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    }
    double total = 0.0;
    for (const double sum : sums) total += sum;
    return total;
}

}  // namespace dln
