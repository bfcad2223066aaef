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
        const bool has_result = exists(run.file("result.json"));
        // With halving a trial that has a result may be going on.
        const bool may_run = !has_result || is_halving(trials.spec().method);
        progress.states[number] = may_run && run.is_being_written() ? TrialState::running
                                  : has_result                      ? TrialState::finished
                                                                    : TrialState::stopped;
    }
    for (const auto& [number, failure] : progress.failures) {
        if (number >= trials.size()) continue;
        TrialState& state = progress.states[number];
        // With halving it may have a result of before it went on and failed.
        const bool has_old_result =
            state == TrialState::finished && is_halving(trials.spec().method);
        if (state == TrialState::waiting || state == TrialState::stopped || has_old_result) {
            state = TrialState::failed;
        }
    }
    for (const TrialState state : progress.states)
        ++progress.counts[static_cast<std::size_t>(state)];
    return progress;
}

}  // namespace dln
