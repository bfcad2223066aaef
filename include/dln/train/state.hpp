#pragma once
// What a training run must remember from one step to the next: all of it, and nothing that follows from
// the job. Rank 0 only; pure data, and its form in a step file.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/calibration.hpp"
#include "dln/network/parameters.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/train/propose.hpp"

namespace dln {

/// How parameters did on dev.
struct DevResult {
    std::int64_t right = 0;
    std::int64_t examples = 0;
    std::int64_t measured = 0;            ///< the others failed
    std::int64_t log_likelihood_sum = 0;  ///< fixed point
    ClassLogProbs class_log_prior;        ///< that dev was calibrated by; empty: by none
    friend bool operator==(const DevResult&, const DevResult&) = default;
    [[nodiscard]] double accuracy() const;
    [[nodiscard]] double log_likelihood() const;
};

/// True when `a` is strictly better than `b` under the job's objective: fewer failures first, then right
/// answers (accuracy) or the log-likelihood, which tells more of a small split; the other breaks ties.
[[nodiscard]] bool is_better(const DevResult& a, const DevResult& b, Objective objective);

/// Parameters with what dev said of them.
struct Evaluated {
    NetworkParameters parameters;
    DevResult dev;
    friend bool operator==(const Evaluated&, const Evaluated&) = default;
};

/// What part of each example seen so far was whose, [expert], by the newest step that met it.
using Responsibilities = std::map<std::uint64_t, std::vector<double>>;

struct TrainState {
    std::int64_t steps_done = 0;
    NetworkParameters current;      ///< the incumbent
    std::vector<Evaluated> best;    ///< none before the first dev evaluation, else one
    std::int64_t best_step = -1;    ///< steps done when the best was found; -1: none yet
    std::vector<Evaluated> memory;  ///< the best on dev, best first
    /// By layer, the prompt that the last step tried in all templates; empty before the first step. A mixture layer
    /// has one for each expert.
    std::vector<std::string> tried_in_templates;
    /// By layer, prompts with the best scores that steps gave them, best first, each once; empty where no
    /// proposal shows them.
    std::vector<std::vector<TriedPrompt>> history;
    std::map<std::size_t, Responsibilities> responsibilities;  ///< by mixture layer
    std::int64_t without_gain = 0;  ///< dev evaluations since the last gain
    double noise_floor = 0.0;       ///< nats, measured before the first step
    Usage usage;                    ///< of all steps and dev evaluations so far
    std::optional<Usage>
        backward_usage;  ///< the backward model's part; none: it has no own backend
    friend bool operator==(const TrainState&, const TrainState&) = default;
};

/// Where an expert stands in TrainState::tried_in_templates.
[[nodiscard]] std::size_t place_of(const NetworkParameters& parameters,
                                   std::size_t layer,
                                   std::size_t expert);

/// Puts a candidate's newest score into a layer's history, which keeps the `capacity` best.
void note_tried(std::vector<TriedPrompt>& history, const TriedPrompt& tried, std::size_t capacity);

/// Puts `evaluated` into the memory: the `capacity` best, sorted, each parameters once.
void remember(TrainState& state,
              const Evaluated& evaluated,
              std::size_t capacity,
              Objective objective);

/// Writes what was used: what follows from replies alone below `path`, the rest, which depends on what happened
/// on the way, below `measured`.
void write_usage(const Usage& usage,
                 const std::string& path,
                 const std::string& measured,
                 StepDocument& document);

/// Writes the state below "state/".
void write_state(const TrainState& state, StepDocument& document);
/// Reads it back; throws CheckpointError that names what is missing.
[[nodiscard]] TrainState read_state(const StepDocument& document);

}  // namespace dln
