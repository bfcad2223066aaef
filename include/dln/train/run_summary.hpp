#pragma once
// What a run directory says of its run, complete or not, for comparing runs. Reads only; rank 0 only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/engine/budget.hpp"

namespace dln {

/// The evaluation of the trained prompts on test, as result.json tells it. Older builds did not write
/// all of it.
struct TestSummary {
    std::int64_t examples = 0;
    std::optional<std::int64_t>
        measured;  ///< the others failed and count as wrong; none: not written
    std::optional<std::int64_t>
        right;  ///< none: accuracy is not measured in this job, or nothing was
    std::optional<double> log_likelihood;   ///< nats
    std::vector<bool> right_by_example;     ///< empty: not written
    std::string data_sha256;                ///< Dataset::digest of the split; empty: not written
    [[nodiscard]] double accuracy() const;  ///< pre: `right` is there
};

enum class RunState {
    complete,
    unfinished,     ///< under way, killed, or failed
    out_of_budget,  ///< unfinished because its budget is spent
};

struct RunSummary {
    std::string path;  ///< as given, without slashes at the end
    std::string name;  ///< of the job
    std::uint64_t seed = 0;
    std::int64_t steps = 0;  ///< that the job asks for
    std::string job_hash;
    std::string model;
    std::string backward_model;  ///< empty: no other one
    std::string job_json;        ///< the resolved job
    RunState state = RunState::unfinished;
    std::optional<std::int64_t> steps_done;  ///< none: no usable step file
    std::optional<TestSummary> test;         ///< none: unfinished, or a job without test split
    std::optional<Spending>
        spent;                    ///< by the run so far; none: not written, or no usable step file
    std::optional<double> money;  ///< complete runs of jobs with prices only
};

/// Reads the run in `path`. Throws UsageError that says what is wrong and what would be right when there is
/// no run, or when job.json or result.json is damaged or contradicts itself. An unfinished run is no error.
[[nodiscard]] RunSummary read_run_summary(const std::string& path);

}  // namespace dln
