#include "dln/network/scores.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dln/error.hpp"
#include "dln/text/compare.hpp"

namespace dln {

double log_sum_exp(std::span<const double> values) {
    DLN_ASSERT(!values.empty(), "a sum of nothing has no logarithm");
    const double maximum = *std::max_element(values.begin(), values.end());
    double sum = 0.0;
    for (const double value : values) sum += std::exp(value - maximum);
    return maximum + std::log(sum);
}

double target_score(std::span<const double> token_log_probs,
                    std::size_t target_bytes,
                    const ScoringSpec& spec) {
    DLN_ASSERT(!token_log_probs.empty(), "a target without tokens has no score");
    const auto count = static_cast<double>(token_log_probs.size());
    const auto burnt = static_cast<std::size_t>(std::floor(spec.burn_in * count));
    const std::span<const double> kept = token_log_probs.subspan(burnt);
    const double sum = std::accumulate(kept.begin(), kept.end(), 0.0);
    switch (spec.length_normalise) {
        case LengthNormalise::mean:
            return sum / static_cast<double>(kept.size());
        case LengthNormalise::sum:
            return sum;
        case LengthNormalise::bytes:
            return sum / static_cast<double>(std::max<std::size_t>(target_bytes, 1));
    }
    throw InternalError("unknown length normalisation");
}

double class_log_prob(std::span<const double> form_log_probs, VerbalizerCombine combine) {
    DLN_ASSERT(!form_log_probs.empty(), "a class without forms has no probability");
    return combine == VerbalizerCombine::sum
               ? log_sum_exp(form_log_probs)
               : *std::max_element(form_log_probs.begin(), form_log_probs.end());
}

std::vector<double> normalise_classes(std::span<const double> class_log_probs) {
    const double total = log_sum_exp(class_log_probs);
    std::vector<double> normalised(class_log_probs.begin(), class_log_probs.end());
    for (double& value : normalised) value -= total;
    return normalised;
}

std::size_t predicted_class(std::span<const double> class_log_probs) {
    return static_cast<std::size_t>(
        std::max_element(class_log_probs.begin(), class_log_probs.end()) - class_log_probs.begin());
}

bool is_right_answer(std::string_view output, std::string_view target, const ScoringSpec& spec) {
    return spec.metric == Metric::number ? number_present(output, target)
                                         : exact_match(output, target, spec.ignore_case);
}

}  // namespace dln
