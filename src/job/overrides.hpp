#pragma once
// --set /train/steps=5: changes a job's JSON before it is checked.

#include <vector>

#include "dln/job/job.hpp"

#include "job/shape.hpp"

namespace dln::job {

/// Applies `overrides` in order. Shorthands on the way are written out, missing objects are made;
/// an unknown name is set all the same, so that reading reports it as it reports any unknown field.
/// Throws UsageError for a pointer that is none or leads past the end of a list.
void apply_overrides(Json& job, const Shape& shape, const std::vector<Override>& overrides);

}  // namespace dln::job
