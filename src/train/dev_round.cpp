#include "train/dev_round.hpp"

#include <algorithm>
#include <optional>

namespace dln {
namespace {

// Parameters whose dev result is known need not be paid for again.
std::optional<DevResult> known_dev(const TrainState& state, const NetworkParameters& parameters) {
    for (const auto* list : {&state.best, &state.memory}) {
        for (const Evaluated& entry : *list) {
            if (entry.parameters == parameters) return entry.dev;
        }
    }
    return std::nullopt;
}

DevResult result_of(const Evaluation& dev) {
    return {static_cast<std::int64_t>(dev.right), static_cast<std::int64_t>(dev.examples),
            static_cast<std::int64_t>(dev.measured), dev.log_likelihood_sum, dev.class_log_prior};
}

// The others are evaluated side by side.
std::vector<Evaluated> dev_results(const std::vector<NetworkParameters>& all,
                                   const EvaluateDev& evaluate,
                                   const TrainState& state,
                                   std::vector<Evaluation>& paid) {
    std::vector<NetworkParameters> unknown = all;
    std::erase_if(unknown, [&](const auto& each) { return known_dev(state, each).has_value(); });
    if (!unknown.empty()) paid = evaluate(unknown);
    std::vector<Evaluated> results;
    for (const NetworkParameters& each : all) {
        if (const auto known = known_dev(state, each)) {
            results.push_back({each, *known});
            continue;
        }
        const auto place = std::ranges::find(unknown, each) - unknown.begin();
        results.push_back({each, result_of(paid[static_cast<std::size_t>(place)])});
    }
    return results;
}

// Returns true when these parameters are the best so far.
bool take_dev(const Evaluated& evaluated,
              std::size_t memory,
              Objective objective,
              TrainState& state) {
    remember(state, evaluated, memory, objective);
    if (!state.best.empty() && !is_better(evaluated.dev, state.best[0].dev, objective)) {
        return false;
    }
    state.best = {evaluated};
    state.best_step = state.steps_done;
    return true;
}

}  // namespace

DevRound run_dev_round(const TrainSpec& spec,
                       Objective objective,
                       const std::vector<NetworkParameters>& worth,
                       const EvaluateDev& evaluate,
                       TrainState& state) {
    DevRound round;
    const std::vector<Evaluated> results = dev_results(worth, evaluate, state, round.paid);
    for (const Evaluation& paid : round.paid) state.usage += paid.usage;
    for (const Evaluated& evaluated : results) {
        const bool is_best = take_dev(evaluated, spec.memory, objective, state);
        if (is_best || round.shown.parameters.empty()) round.shown = evaluated;
        round.gained = round.gained || is_best;
    }
    state.without_gain = round.gained ? 0 : state.without_gain + 1;
    return round;
}

void go_back(const TrainSpec& spec, TrainState& state) {
    const auto tolerance = static_cast<std::int64_t>(spec.tolerance);
    if (tolerance == 0 || state.without_gain < tolerance) return;
    state.current = state.best[0].parameters;
    state.without_gain = 0;
}

}  // namespace dln
