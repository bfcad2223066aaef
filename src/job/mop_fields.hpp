#pragma once
// The table of what a job of a mixture of prompts may hold.

#include "dln/job/mop_job.hpp"

#include "job/codec.hpp"

namespace dln::job {

[[nodiscard]] const Codec<MopJob>& mop_codec();

/// Checks what depends on several fields. The reader is at the root and noted no fault.
void check_mop_job(Reader& reader, const MopJob& job);

}  // namespace dln::job
