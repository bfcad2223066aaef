#pragma once
// Parts of a plan that do not depend on how its runs were foretold. Rank 0 only.

#include <cstddef>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/train/plan.hpp"

#include "train/course.hpp"

namespace dln {

/// The splits' evaluations that a run is certain to have: before and between `steps`.
[[nodiscard]] std::int64_t dev_rounds(const TrainSpec& train, bool has_dev);

/// Fills in what is expected, and where nine of ten courses lie. Pre: plan.steps is set; at least one course.
void sum_up(const std::vector<Course>& courses, Plan& plan);

/// Adds the probe of a server. Of a slow one less is asked: one request tells, if the model is to be `asked`; no
/// other backend is paid. `density`: tokens a byte where nobody can count.
void add_probe(const BackendSpec& spec,
               Backend& backend,
               bool is_asked,
               double density,
               std::size_t begin_bytes,
               Plan& plan);

/// Makes `longest` the longer of the two.
void raise(RequestChain& longest, const RequestChain& one);

/// The share of right answers, of which `right` in `answers` were seen: all shares from `chance` on are equally
/// likely before any is. `place` in [0, 1) of the distribution.
[[nodiscard]] double share_of_right(double chance, double right, std::size_t answers, double place);

}  // namespace dln
