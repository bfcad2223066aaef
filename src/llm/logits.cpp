#include "dln/llm/logits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace dln {

double log_sum_exp(std::span<const float> logits) {
    float maximum = -std::numeric_limits<float>::infinity();
    for (const float logit : logits) {
        if (!(logit <= maximum)) maximum = logit;  // lets NaN through
    }
    if (!std::isfinite(maximum)) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0.0;
    for (const float logit : logits) sum += static_cast<double>(std::exp(logit - maximum));
    return static_cast<double>(maximum) + std::log(sum);
}

std::int32_t argmax_token(std::span<const float> logits) {
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) -
                                     logits.begin());
}

std::int32_t sample_token(std::span<const float> logits,
                          double temperature,
                          double top_p,
                          double uniform) {
    const std::int32_t best = argmax_token(logits);
    if (temperature <= 0.0) return best;
    const float maximum = logits[static_cast<std::size_t>(best)];
    // Most of the vocabulary is far below the best token: leaving it out makes sampling a fraction of a
    // decode and moves less than 1e-8 of the mass.
    constexpr double kNegligible = 30.0;
    struct Weighted {
        std::int32_t token;
        double weight;
    };
    std::vector<Weighted> weighted;
    double total = 0.0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double x = static_cast<double>(logits[i] - maximum) / temperature;
        if (!(x > -kNegligible)) continue;
        weighted.push_back({static_cast<std::int32_t>(i), std::exp(x)});
        total += weighted.back().weight;
    }
    if (top_p < 1.0) {
        std::stable_sort(weighted.begin(), weighted.end(),
                         [](const auto& a, const auto& b) { return a.weight > b.weight; });
        double kept = 0.0;
        std::size_t count = 0;
        while (count < weighted.size() && kept < top_p * total) kept += weighted[count++].weight;
        weighted.resize(count);
        total = kept;
    }
    double left = uniform * total;
    for (const Weighted& entry : weighted) {
        left -= entry.weight;
        if (left < 0.0) return entry.token;
    }
    return weighted.empty() ? best : weighted.back().token;
}

}  // namespace dln
