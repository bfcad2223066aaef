#include "dln/engine/scheduler.hpp"

#include <algorithm>
#include <tuple>

#include "dln/error.hpp"

namespace dln {

Scheduler::Scheduler(int ranks, std::size_t window)
    : ranks_(static_cast<std::size_t>(ranks)), window_(std::max<std::size_t>(window, 1)) {}

void Scheduler::add(std::uint64_t unit, std::uint64_t affinity, bool can_wait) {
    Group& group = groups_[{can_wait, affinity}];
    if (group.units.empty()) group.order = added_;
    group.units.push_back(unit);
    ++added_;
    ++ready_;
}

Scheduler::Groups::iterator Scheduler::choose(const Rank& rank) {
    const bool can_wait = groups_.begin()->first.first;
    if (rank.affinity) {
        const auto own = groups_.find({can_wait, *rank.affinity});
        if (own != groups_.end()) return own;
    }
    // Unused before used, then the larger remainder (the one that sharing shortens most), then the older.
    const auto end = can_wait ? groups_.end() : groups_.lower_bound({true, 0});
    return std::min_element(groups_.begin(), end, [this](const auto& a, const auto& b) {
        const auto key = [this](const auto& entry) {
            const auto used = users_.find(entry.first.second);
            const int users = used == users_.end() ? 0 : used->second;
            return std::tuple(users, users > 0 ? -static_cast<long>(entry.second.units.size()) : 0L,
                              entry.second.order);
        };
        return key(a) < key(b);
    });
}

bool Scheduler::has_room(const Rank& rank) const {
    const bool is_end = ready_ <= ranks_.size();
    if (!is_end) return rank.held < window_;
    const auto fewest = std::ranges::min_element(ranks_, {}, &Rank::held)->held;
    const std::size_t busy = std::max<std::size_t>(window_, 2) - 1;
    return ready_ > 0 && rank.held < busy && rank.held == fewest;
}

std::optional<std::uint64_t> Scheduler::next_for(int rank_index) {
    Rank& rank = ranks_[static_cast<std::size_t>(rank_index)];
    if (!has_room(rank)) return std::nullopt;
    const auto group = choose(rank);
    const std::uint64_t affinity = group->first.second;
    if (rank.affinity != affinity) {
        if (rank.affinity) --users_[*rank.affinity];
        rank.affinity = affinity;
        ++users_[affinity];
    }
    const std::uint64_t unit = group->second.units.front();
    group->second.units.pop_front();
    if (group->second.units.empty()) groups_.erase(group);
    --ready_;
    ++rank.held;
    return unit;
}

void Scheduler::finished(int rank) {
    std::size_t& held = ranks_[static_cast<std::size_t>(rank)].held;
    DLN_ASSERT(held > 0, "rank {} finishes a unit that it does not hold", rank);
    --held;
}

}  // namespace dln
