#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "dln/error.hpp"

#include "generators.hpp"

// A walk that returns is a random walk with its way back; one that does not is such a walk with one
// number changed. So "Yes" and "No" cannot be told from how the text looks.

namespace dln {
namespace {

constexpr int kMostSteps = 10;

/// Quarter turns clockwise from where one faces: walking that way, or turning there.
enum Side { ahead = 0, right = 1, behind = 2, left = 3 };

struct Instruction {
    Side side = ahead;
    int steps = 0;  ///< 0: a turn
};
using Walk = std::vector<Instruction>;

struct Pose {
    int east = 0;
    int north = 0;
    int heading = 0;  ///< quarter turns clockwise from north
    [[nodiscard]] bool at_start() const { return east == 0 && north == 0; }
};

Pose follow(const Walk& walk) {
    constexpr std::array<int, 4> kEast{0, 1, 0, -1};
    constexpr std::array<int, 4> kNorth{1, 0, -1, 0};
    Pose pose;
    for (const auto& instruction : walk) {
        const auto way = static_cast<std::size_t>((pose.heading + instruction.side) % 4);
        pose.east += kEast[way] * instruction.steps;
        pose.north += kNorth[way] * instruction.steps;
        if (instruction.steps == 0) {
            pose.heading = static_cast<int>(way);
        }
    }
    return pose;
}

int random_steps(CounterRng& rng) {
    return 1 + static_cast<int>(rng.below(static_cast<std::uint64_t>(kMostSteps)));
}

/// Appends `steps` that way, as several instructions when they are many and sometimes when not.
void append_steps(Walk& walk, Side side, int steps, CounterRng& rng) {
    while (steps > 0) {
        int now = std::min(steps, kMostSteps);
        if (steps > 1 && (steps > kMostSteps || rng.below(3) == 0)) {
            now = 1 + static_cast<int>(
                          rng.below(static_cast<std::uint64_t>(std::min(steps - 1, kMostSteps))));
        }
        walk.push_back({side, now});
        steps -= now;
    }
}

Walk facing_forward(CounterRng& rng) {
    Walk walk;
    for (auto moves = 2 + rng.below(3); moves > 0; --moves) {
        walk.push_back({static_cast<Side>(rng.below(4)), random_steps(rng)});
    }
    const auto end = follow(walk);
    append_steps(walk, end.east > 0 ? left : right, std::abs(end.east), rng);
    append_steps(walk, end.north > 0 ? behind : ahead, std::abs(end.north), rng);
    Walk shuffled;
    for (const auto i : rng.permutation(walk.size())) {
        shuffled.push_back(walk[i]);
    }
    return shuffled;
}

/// Appends turns until one faces `heading`; a half turn is sometimes two quarter turns.
void append_turns(Walk& walk, int heading, CounterRng& rng) {
    const auto side = static_cast<Side>((heading - follow(walk).heading + 4) % 4);
    if (side == behind && rng.below(3) == 0) {
        const Side quarter = rng.below(2) == 0 ? left : right;
        walk.insert(walk.end(), 2, {quarter, 0});
    } else if (side != ahead) {
        walk.push_back({side, 0});
    }
}

Walk turning(CounterRng& rng) {
    Walk walk{{ahead, random_steps(rng)}};
    for (auto moves = 1 + rng.below(4); moves > 0; --moves) {
        const auto turn = static_cast<Side>(1 + rng.below(3));
        walk.push_back(rng.below(2) == 0 ? Instruction{ahead, random_steps(rng)}
                                         : Instruction{turn, 0});
    }
    const auto end = follow(walk);
    const std::array<std::pair<int, int>, 2> back{
        {{end.east > 0 ? left : right, std::abs(end.east)},
         {end.north > 0 ? behind : ahead, std::abs(end.north)}}};
    const auto first = rng.below(2);
    for (const auto axis : {first, 1 - first}) {
        if (back[axis].second > 0) {
            append_turns(walk, back[axis].first, rng);
            append_steps(walk, ahead, back[axis].second, rng);
        }
    }
    if (rng.below(3) == 0) {
        walk.push_back({static_cast<Side>(1 + rng.below(3)), 0});
    }
    return walk;
}

/// Changes the number of steps of one instruction, which always moves the end.
void lead_astray(Walk& walk, CounterRng& rng) {
    while (true) {
        auto& instruction = walk[rng.below(walk.size())];
        const int steps = random_steps(rng);
        if (instruction.steps != 0 && instruction.steps != steps) {
            instruction.steps = steps;
            return;
        }
    }
}

std::string sentence(const Instruction& instruction, bool facing) {
    constexpr std::array<std::string_view, 4> kWays{" forward", " to the right", " backward",
                                                    " to the left"};
    constexpr std::array<std::string_view, 4> kTurns{"", "right", "around", "left"};
    if (instruction.steps == 0) {
        return fmt::format("Turn {}.", kTurns[instruction.side]);
    }
    return fmt::format("Walk {} step{}{}.", instruction.steps, instruction.steps == 1 ? "" : "s",
                       facing ? kWays[instruction.side] : "");
}

}  // namespace

std::string make_navigate(CounterRng& rng, std::size_t target) {
    const bool returns = target == 0;
    const bool facing = rng.below(2) == 0;
    auto walk = facing ? facing_forward(rng) : turning(rng);
    if (!returns) {
        lead_astray(walk, rng);
    }
    DLN_ASSERT(follow(walk).at_start() == returns, "a walk of {} instructions", walk.size());
    std::string text = "Someone follows the steps below. Do they end up where they began?";
    text += facing ? " Always face forward." : "";
    for (const auto& instruction : walk) {
        text.append(1, ' ').append(sentence(instruction, facing));
    }
    return text + "\nOptions:\n- Yes\n- No";
}

}  // namespace dln
