#pragma once
// The table of what a sweep file may hold.

#include "dln/job/sweep_file.hpp"

#include "job/codec.hpp"

namespace dln::job {

[[nodiscard]] const Codec<SweepSpec>& sweep_codec();

/// Checks one dimension alone. The reader is at the dimension.
void check_dimension(Reader& reader, const SweepDimension& dimension);

/// Checks what depends on several fields. The reader is at the root and noted no fault.
void check_sweep(Reader& reader, const SweepSpec& spec);

}  // namespace dln::job
