#include "dln/sweep/progress.hpp"

#include <filesystem>

#include "dln/store/run_directory.hpp"

namespace dln {
namespace {

bool exists(const std::string& path) {
    std::error_code failure;
    return std::filesystem::exists(path, failure);
}

}  // namespace

const char* name_of(TrialState state) {
    constexpr std::array<const char*, 5> kNames{"waiting", "running", "stopped", "failed",
                                                "finished"};
    return kNames[static_cast<std::size_t>(state)];
}

SweepProgress read_progress(const Trials& trials, const SweepDirectory& directory) {
    SweepProgress progress{.states = std::vector<TrialState>(trials.size(), TrialState::waiting),
                           .failures = directory.failures()};
    for (const std::uint64_t number : directory.begun()) {
        if (number >= trials.size()) continue;
        const RunDirectory run(directory.path() + "/" + trial_directory_name(number));
        progress.states[number] = exists(run.file("result.json")) ? TrialState::finished
                                  : run.is_being_written()        ? TrialState::running
                                                                  : TrialState::stopped;
    }
    for (const auto& [number, failure] : progress.failures) {
        if (number >= trials.size()) continue;
        TrialState& state = progress.states[number];
        if (state == TrialState::waiting || state == TrialState::stopped) {
            state = TrialState::failed;
        }
    }
    for (const TrialState state : progress.states)
        ++progress.counts[static_cast<std::size_t>(state)];
    return progress;
}

}  // namespace dln
