#include "dln/train/select.hpp"

#include <limits>

#include "dln/comm/fixed_point.hpp"

namespace dln {

double CandidateScore::mean() const {
    if (scored == 0) return std::numeric_limits<double>::quiet_NaN();
    return from_fixed_point(sum) /
           (weight ? from_fixed_point(*weight) : static_cast<double>(scored));
}

std::size_t select_best(std::span<const CandidateScore> table,
                        std::size_t min_scored,
                        double margin) {
    if (table.empty() || table[0].scored < min_scored || table[0].scored == 0) return 0;
    const double to_beat = table[0].mean() + margin;
    std::size_t best = 0;
    for (std::size_t i = 1; i < table.size(); ++i) {
        if (table[i].scored < min_scored || table[i].scored == 0) continue;
        const double mean = table[i].mean();
        if (mean > (best == 0 ? to_beat : table[best].mean())) best = i;
    }
    return best;
}

}  // namespace dln
