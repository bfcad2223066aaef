#pragma once
// The trials of a sweep: each configuration with each seed. Trial i is a pure function of the sweep file and i, but
// with TPE, which decides on configurations as results come in.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/sweep/space.hpp"

namespace dln {

struct Trial {
    std::uint64_t number = 0;
    std::uint64_t configuration = 0;
    Configuration settings;
    std::optional<std::uint64_t> seed;  ///< none: the job's own, or one of `settings`
    std::string run_dir;
    std::int64_t pause_after = 0;  ///< steps after which it pauses (halving); 0: it does not
};

class Trials {
  public:
    /// Throws UsageError when there are more than kMostTrials.
    explicit Trials(const SweepSpec& spec);

    [[nodiscard]] const SweepSpec& spec() const noexcept { return spec_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return space_.size() * seeds_each(); }
    [[nodiscard]] std::uint64_t configurations() const noexcept { return space_.size(); }
    /// Trials of a configuration, which follow one another.
    [[nodiscard]] std::uint64_t seeds_each() const noexcept;
    /// Throws UsageError, naming the numbers there are, when there is no such trial.
    [[nodiscard]] Trial trial(std::uint64_t number) const;
    /// From now on `configuration` is what a search decided, in place of the file's.
    void decide(std::uint64_t configuration, Configuration settings) {
        decided_[configuration] = std::move(settings);
    }
    /// Whether the settings of this configuration are known: those of TPE are once they have been decided.
    [[nodiscard]] bool is_known(std::uint64_t configuration) const {
        return spec_.method != SweepMethod::tpe || decided_.contains(configuration);
    }

  private:
    SweepSpec spec_;
    SearchSpace space_;
    std::map<std::uint64_t, Configuration> decided_;
};

/// Whether the trial stops short of the most steps, so that it may go on later.
[[nodiscard]] bool pauses(const SweepSpec& spec, const Trial& trial);

/// Name of the run directory of a trial within that of the sweep.
[[nodiscard]] std::string trial_directory_name(std::uint64_t number);

/// What turns the base job into the trial's: its settings, seed, run_dir, and a name that its configuration shares.
[[nodiscard]] std::vector<Override> overrides_of(const SweepSpec& spec, const Trial& trial);

/// Numbers of trials in which each value of each dimension occurs, and the ends of what was drawn of each range: when
/// their jobs are valid, every field that the sweep names exists and takes what it is given.
[[nodiscard]] std::vector<std::uint64_t> covering_trials(const Trials& trials);

/// Reads the jobs of the covering trials from the base job's text. Throws UsageError that names the trial, its
/// settings, and what is wrong with its job: also that it lacks the data of the metric, or that its dev evaluations do
/// not come where halving compares.
void check_jobs(const Trials& trials, std::string_view base_job);

/// Pointers and values, as one object, and what such an object says.
[[nodiscard]] nlohmann::ordered_json settings_json(const Configuration& settings);
[[nodiscard]] Configuration settings_of(const nlohmann::ordered_json& json);

/// "/train/candidates=8, /seed=2", for people: numbers have six digits.
[[nodiscard]] std::string describe(const Configuration& settings);
/// The same of a trial, with its seed.
[[nodiscard]] std::string describe(const Trial& trial);

}  // namespace dln
