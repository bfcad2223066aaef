#include "dln/network/calibration.hpp"

#include "dln/error.hpp"
#include "dln/network/scores.hpp"

namespace dln {

ClassLogProbs class_log_prior(std::span<const ClassLogProbs> rows) {
    // Summed as logarithms, so that a class of hardly any probability still has a finite prior.
    std::vector<std::vector<double>> by_class;
    for (const ClassLogProbs& row : rows) {
        by_class.resize(row.empty() ? by_class.size() : row.size());
        for (std::size_t c = 0; c < row.size(); ++c) by_class[c].push_back(row[c]);
    }
    ClassLogProbs sums;
    for (const auto& values : by_class) sums.push_back(log_sum_exp(values));
    return sums.empty() ? sums : normalise_classes(sums);
}

ClassLogProbs calibrated(std::span<const double> class_log_probs,
                         std::span<const double> class_log_prior) {
    DLN_ASSERT(class_log_probs.size() == class_log_prior.size() && !class_log_probs.empty(),
               "{} classes, a prior of {}", class_log_probs.size(), class_log_prior.size());
    ClassLogProbs corrected(class_log_probs.begin(), class_log_probs.end());
    for (std::size_t c = 0; c < corrected.size(); ++c) corrected[c] -= class_log_prior[c];
    return normalise_classes(corrected);
}

}  // namespace dln
