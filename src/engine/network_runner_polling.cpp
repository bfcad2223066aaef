// How a rank with two backends gives each its turn.

#include <algorithm>
#include <iterator>

#include "dln/engine/network_runner.hpp"

namespace dln {

std::vector<Completion> NetworkRunner::poll(std::chrono::milliseconds wait) {
    const auto is_busy = [](const Side& side) { return side.pending > 0; };
    if (std::ranges::count_if(sides_, is_busy) > 1) return poll_both(wait);
    Side& busy = *std::ranges::max_element(sides_, {}, &Side::pending);
    std::vector<Completion> completed = busy.backend->poll(wait);
    busy.pending -= completed.size();
    return completed;
}

// Neither may hold up the other: a backend that computes has one piece of its work done and is no reason to
// wait. While servers compute for both, these are waited for in turn, each time for a small part of the time
// since something was sent or came, so that looking at one makes replies of the other hardly later.
std::vector<Completion> NetworkRunner::poll_both(std::chrono::milliseconds wait) {
    using std::chrono::milliseconds;
    constexpr int kPart = 20;
    constexpr milliseconds kShortest{1};
    const bool computes = std::ranges::any_of(
        sides_, [](const Side& side) { return side.backend->computes_in_poll(); });
    waited_for_ = 1 - waited_for_;
    Side& last = sides_[waited_for_];
    Side& first = sides_[1 - waited_for_];
    std::vector<Completion> completed = first.backend->poll(milliseconds(0));
    first.pending -= completed.size();
    const auto quiet = std::chrono::steady_clock::now() - quiet_since_;
    const milliseconds slice =
        computes || !completed.empty()
            ? milliseconds(0)
            : std::min(std::max(std::chrono::duration_cast<milliseconds>(quiet / kPart), kShortest),
                       wait);
    std::vector<Completion> more = last.backend->poll(slice);
    last.pending -= more.size();
    std::ranges::move(more, std::back_inserter(completed));
    if (!completed.empty()) quiet_since_ = std::chrono::steady_clock::now();
    return completed;
}

}  // namespace dln
