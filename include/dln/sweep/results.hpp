#pragma once
// What the trials of a sweep came to. Reads only; rank 0 only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/report/statistics.hpp"
#include "dln/sweep/decisions.hpp"
#include "dln/sweep/progress.hpp"
#include "dln/sweep/trials.hpp"

namespace dln {

/// What a trial used, by result.json.
struct TrialCost {
    std::int64_t requests = 0;  ///< with those that a journal answered
    std::int64_t recalled =
        0;  ///< calls that the sweep's journal answered, so that nothing was sent
    std::int64_t prompt_tokens = 0;
    std::int64_t generated_tokens = 0;
    double seconds = 0.0;
    TrialCost& operator+=(const TrialCost& other);
};

struct TrialResult {
    std::uint64_t number = 0;
    std::optional<std::uint64_t> seed;
    std::string run_dir;
    TrialState state = TrialState::waiting;
    std::string reason;            ///< of a failed trial
    std::optional<double> metric;  ///< none: not finished, or not reported
    std::int64_t steps = 0;        ///< of training, of a finished or paused trial
    TrialCost cost;                ///< so far
};

struct ConfigurationResult {
    std::uint64_t configuration = 0;
    Configuration settings;
    std::vector<TrialResult> trials;   ///< one a seed
    std::vector<double> metrics;       ///< of those that have one
    std::optional<double> mean;        ///< of `metrics`; none: there is none
    std::optional<Interval> interval;  ///< 95 % of the mean over seeds; none for one seed
    TrialCost cost;
    /// Of an adaptive sweep: what the configuration was last compared by, whatever became of its trials since.
    std::optional<Observation> observed;
    /// Every seed has its metric, after as many steps as the others.
    [[nodiscard]] bool is_complete() const;
    /// Steps that every seed had. Pre: is_complete().
    [[nodiscard]] std::int64_t steps() const { return trials.front().steps; }
};

struct SweepResults {
    SweepProgress progress;
    std::vector<ConfigurationResult> configurations;
    TrialCost cost;
};

/// `decisions`: of an adaptive sweep. Throws UsageError when trials have finished and none has the sweep's metric, naming what they report; and when a
/// result.json is damaged.
[[nodiscard]] SweepResults read_results(const Trials& trials,
                                        const SweepDirectory& directory,
                                        const Decisions* decisions = nullptr);

/// Throws UsageError, as read_results does, when the result of a trial that has finished or pauses has no such number.
void require_metric(const Trial& trial, const SweepSpec& spec);

/// The metric of a trial that has been trained as far as it should be; none: it has not been, or reports none. Throws
/// as read_results does.
[[nodiscard]] std::optional<double> read_ended_metric(const Trial& trial,
                                                      const SweepMetric& metric);

/// The complete configurations, best mean first; equal ones in their order. With halving those with the most steps
/// come first: only they can be compared with each other.
[[nodiscard]] std::vector<const ConfigurationResult*> ranked(const SweepResults& results,
                                                             const SweepSpec& spec);

}  // namespace dln
