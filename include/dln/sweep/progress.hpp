#pragma once
// How far a sweep has come, told from the files of its trials. Reads only; rank 0 only.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dln/sweep/sweep_directory.hpp"
#include "dln/sweep/trials.hpp"

namespace dln {

enum class TrialState {
    waiting,   ///< not begun
    running,   ///< a process writes its run
    stopped,   ///< begun, and nobody writes: it goes on from its step files
    failed,    ///< ended early, with a reason
    finished,  ///< has its results
};

[[nodiscard]] const char* name_of(TrialState state);

struct SweepProgress {
    std::vector<TrialState> states;  ///< by number
    std::map<std::uint64_t, TrialFailure> failures;
    std::array<std::uint64_t, 5> counts{};  ///< by state

    [[nodiscard]] std::uint64_t count(TrialState state) const {
        return counts[static_cast<std::size_t>(state)];
    }
};

/// Lists the sweep's directory once, and looks for two files of each trial that was begun.
[[nodiscard]] SweepProgress read_progress(const Trials& trials, const SweepDirectory& directory);

}  // namespace dln
