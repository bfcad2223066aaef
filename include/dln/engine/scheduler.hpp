#pragma once
// Which rank takes which unit. Ranks pull: a unit is given out when a rank has room for it, so slow
// replies hold up nobody. Units that can wait are given out when there are no others. A rank keeps to the
// affinity that it has, then takes one that nobody works on, then shares. Never changes a result. Rank 0 only;
// pure.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace dln {

class Scheduler {
  public:
    explicit Scheduler(int ranks, std::size_t window = 1);
    /// Units that a rank may hold at once: one more than it needs to be busy hides the way.
    void set_window(std::size_t window) { window_ = std::max<std::size_t>(window, 1); }
    void add(std::uint64_t unit, std::uint64_t affinity, bool can_wait = false);
    /// The next unit for `rank`, or nothing when none is ready or the rank holds enough. Near the end of
    /// the work only a rank that holds fewest gets one, and none beyond what keeps it busy, so that no unit
    /// waits behind another while a rank is idle.
    [[nodiscard]] std::optional<std::uint64_t> next_for(int rank);
    /// `rank` has finished a unit.
    void finished(int rank);
    [[nodiscard]] bool has_ready() const noexcept { return ready_ > 0; }
    [[nodiscard]] std::size_t held_by(int rank) const {
        return ranks_[static_cast<std::size_t>(rank)].held;
    }

  private:
    struct Rank {
        std::size_t held = 0;
        std::optional<std::uint64_t> affinity;
    };
    struct Group {
        std::deque<std::uint64_t> units;
        std::uint64_t order = 0;  // of its first unit
    };
    [[nodiscard]] bool has_room(const Rank& rank) const;
    using Groups = std::map<std::pair<bool, std::uint64_t>, Group>;  // by can_wait and affinity
    [[nodiscard]] Groups::iterator choose(const Rank& rank);

    std::vector<Rank> ranks_;
    Groups groups_;
    std::map<std::uint64_t, int> users_;  // by affinity: ranks that keep to it
    std::size_t window_;
    std::size_t ready_ = 0;
    std::uint64_t added_ = 0;
};

}  // namespace dln
