#pragma once
// How a step cuts its batch: what is shown in proposals, what candidates are compared on, and what becomes ready
// together. Pure.

#include <cstddef>
#include <utility>
#include <vector>

#include "dln/job/job.hpp"

namespace dln {

/// Positions in the batch that become ready together.
struct PositionGroup {
    std::vector<std::size_t> positions;
    bool ranked = true;  ///< candidates are compared on these
};

struct PositionGroups {
    std::vector<PositionGroup> all;
    std::size_t shown = 0;  ///< proposals are made from so many first positions
};

/// With held-out ranking the first half of the batch makes proposals and the second ranks them. A network with
/// latents works in blocks, whose later requests wait for nothing but their own earlier ones; so does a race.
[[nodiscard]] PositionGroups position_groups(const Job& job, std::size_t batch);

/// Those that candidates are compared on, by their index.
[[nodiscard]] std::vector<std::pair<std::size_t, std::vector<std::size_t>>> ranked_of(
    const std::vector<PositionGroup>& groups);

}  // namespace dln
