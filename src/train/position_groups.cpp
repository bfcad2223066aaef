#include "train/position_groups.hpp"

#include <algorithm>

namespace dln {

PositionGroups position_groups(const Job& job, std::size_t batch) {
    PositionGroups groups{.all = {}, .shown = batch};
    if (job.train.held_out_ranking && batch >= 2) groups.shown = batch / 2;
    const std::size_t first_ranked = groups.shown == batch ? 0 : groups.shown;
    const std::size_t block = job.train.select == SelectMode::racing ? job.train.racing_block
                              : job.network.layers.size() == 1       ? batch
                                                                     : job.scoring.block;
    for (std::size_t first = 0; first < batch;) {
        const std::size_t limit = first < first_ranked ? first_ranked : batch;
        PositionGroup group{.positions = {}, .ranked = first >= first_ranked};
        for (const std::size_t end = std::min(first + block, limit); first < end; ++first) {
            group.positions.push_back(first);
        }
        groups.all.push_back(std::move(group));
    }
    return groups;
}

std::vector<std::pair<std::size_t, std::vector<std::size_t>>> ranked_of(
    const std::vector<PositionGroup>& groups) {
    std::vector<std::pair<std::size_t, std::vector<std::size_t>>> ranked;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (groups[g].ranked) ranked.emplace_back(g, groups[g].positions);
    }
    return ranked;
}

}  // namespace dln
