#pragma once
// Clients of a federation, and who takes part in a round: pure functions of the job's seed. Any rank.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dln/job/mop_job.hpp"

namespace dln::mop {

/// The examples of each client; each example belongs to one client. `task_of`: one an example, below `tasks`. Throws
/// UsageError that names the first client without an example.
[[nodiscard]] std::vector<std::vector<std::size_t>> make_clients(
    const std::vector<std::size_t>& task_of,
    std::size_t tasks,
    const FederatedSpec& spec,
    std::uint64_t seed);

/// Clients that take part in a round and answer, ascending; at least one. `round` counts from 0.
[[nodiscard]] std::vector<std::size_t> draw_round(const FederatedSpec& spec,
                                                  std::uint64_t seed,
                                                  std::int64_t round);

}  // namespace dln::mop
