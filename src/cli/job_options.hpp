#pragma once
// Flags that several commands share: the job file with its overrides, or a run to take both from.

#include <string>
#include <vector>

#include "dln/job/any_job.hpp"
#include "dln/network/calibration.hpp"
#include "dln/network/parameters.hpp"

namespace CLI {
class App;
}

namespace dln {

struct JobOptions {
    std::string job_path;
    std::vector<std::string> sets;  ///< "/train/steps=5"
    std::string run_path;           ///< a run directory: its job.json and prompts.json
    std::string prompts_path;       ///< a prompts file; wins over the run's
};

/// Adds the job file and --set.
void add_job_options(CLI::App& command, JobOptions& options);
/// Adds --max-hours, of a command that trains.
void add_max_hours(CLI::App& command, double& max_hours);
/// Adds --run and --prompts too; then the job file is optional.
void add_network_options(CLI::App& command, JobOptions& options);

/// Reads the job that the options name, of either system. Rank 0. Throws UsageError.
[[nodiscard]] AnyJob read_any_job(const JobOptions& options);
/// The same where only a network will do.
[[nodiscard]] Job read_job(const JobOptions& options);
/// The parameters that the options name: a prompts file, a run's best, or the job's initial ones. Rank 0.
[[nodiscard]] NetworkParameters read_parameters(const JobOptions& options, const Job& job);
/// The class prior that is kept with those parameters; empty: none. Rank 0.
[[nodiscard]] ClassLogProbs read_class_prior(const JobOptions& options, const Job& job);

}  // namespace dln
