#pragma once
// What a sweep leaves beside the run directories of its trials. Rank 0 only; any number of processes at a time.
//
//   sweep.json, job.json   the resolved sweep and base job that it was begun with
//   decisions.jsonl        of an adaptive method (decisions.hpp); lock: who writes it
//   failures/000012.json   why trial 12 ended early, until it is begun again
//   journal/               replies of model servers, of all trials
//   000012/                run directory of trial 12
//
// No file has two writers at a time: a trial is run by one process at a time (its run directory's lock sees to that), and
// sweep.json and job.json have the same content whoever writes them.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dln/error.hpp"
#include "dln/job/any_job.hpp"
#include "dln/job/sweep_file.hpp"

namespace dln {

/// Why a trial ended early.
struct TrialFailure {
    int exit_code = 0;  ///< that dln train would have ended with
    std::string reason;
};

class SweepDirectory {
  public:
    explicit SweepDirectory(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string journal_path() const { return path_ + "/journal"; }
    [[nodiscard]] std::string decisions_path() const { return path_ + "/decisions.jsonl"; }
    /// True when a sweep was begun here.
    [[nodiscard]] bool holds_sweep() const;

    /// Throws UsageError that names what differs, with old and new value, when another sweep was begun here: other
    /// trials, or another base job as far as it decides what is trained. More configurations than there were are no
    /// difference unless the method is grid, nor are metric and compact.
    void check_unchanged(const SweepSpec& spec, const AnyJob& base) const;
    /// check_unchanged, then writes what the sweep is. Throws Error (exit 1) when the disk refuses.
    void begin(const SweepSpec& spec, const AnyJob& base) const;

    void record_failure(std::uint64_t trial, const TrialFailure& failure) const;
    void forget_failure(std::uint64_t trial) const;
    /// Of all trials. A damaged file counts as a failure of unknown reason.
    [[nodiscard]] std::map<std::uint64_t, TrialFailure> failures() const;
    /// Numbers of the trials that have a run directory, in order.
    [[nodiscard]] std::vector<std::uint64_t> begun() const;

  private:
    [[nodiscard]] std::string failures_path() const { return path_ + "/failures"; }
    [[nodiscard]] std::string failure_path(std::uint64_t trial) const;

    std::string path_;
};

/// Removes from the complete run in `run_dir` what no command needs to read it: step files, metrics.jsonl, and LATEST
/// last. Goes on where it was killed; looks for one file when it was done before.
void compact_run(const std::string& run_dir);

}  // namespace dln
