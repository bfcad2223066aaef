#pragma once
// Selection, the last pure stage of a step. No MPI, model, disk or randomness here.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dln {

/// One candidate's scores over the examples it is ranked on (natural log, nats; accuracy jobs: 0 or 1).
/// Entries of failed requests are absent from sum and scored.
struct CandidateScore {
    std::size_t candidate = 0;  ///< 0 is the incumbent
    std::int64_t sum = 0;       ///< fixed point (comm/fixed_point.hpp): exact
    std::size_t scored = 0;
    std::size_t failed = 0;
    /// Fixed point: what the scored examples weigh together, in whose mean each counts by its weight. None: 1 each.
    std::optional<std::int64_t> weight = std::nullopt;
    [[nodiscard]] double mean() const;  ///< NaN when nothing was scored
};

/// Returns the index into `table` of the candidate to keep: the highest mean of S(k) = 1/B sum_i
/// log p(y_i | x_i, pi_k) (design, "Training one layer", 4; arXiv 2306.12509, section 3). A candidate must
/// beat the incumbent by more than `margin`; among others, ties go to the lowest candidate. One with fewer
/// than `min_scored` scores cannot win.
///
/// Pre:  `table` is sorted by candidate, starts with the incumbent, has no duplicates.
/// Post: the result does not depend on the number of ranks.
/// When not even the incumbent has `min_scored` scores, the incumbent stays.
[[nodiscard]] std::size_t select_best(std::span<const CandidateScore> table,
                                      std::size_t min_scored,
                                      double margin);

}  // namespace dln
