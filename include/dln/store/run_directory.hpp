#pragma once
// All that a training run leaves behind, and who may write it. Rank 0 only.
//
//   job.json        the resolved job
//   job.hash        which job this run belongs to
//   model.id        the models that it was begun with (BackendInfo::model)
//   steps/          step files (checkpoint_store.hpp)
//   LATEST          name of the newest of them
//   metrics.jsonl   one line an evaluation
//   prompts.json    best prompts so far
//   result.json     what a complete run came to
//   spent.json      what had been used when a budget stopped the run in the middle of a step
//   server.json, backward_server.json, embedding_server.json
//                   what model servers said of themselves, for a replay
//   journal/        requests and replies
//   lock            the writer: host, process, job
//
// An object made of a path touches nothing. A command that trains calls check_writable and
// check_belongs_to before it pays for anything, then create; commands that only read use the path
// functions.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dln {

class RunLock;

/// The identities of the models that a run asks: the lines of model.id.
struct RunModels {
    std::string forward;
    std::string backward;   ///< empty: no other one
    std::string embedding;  ///< empty: none
};

class RunDirectory {
  public:
    explicit RunDirectory(std::string path);
    /// Gives the lock back if this object holds it.
    ~RunDirectory();
    RunDirectory(RunDirectory&&) noexcept;
    RunDirectory& operator=(RunDirectory&&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string steps_path() const { return path_ + "/steps"; }
    /// Paths of the step files that are there, sound or not, first step first. Reads the directory only: a
    /// store would clear away what dead writers left.
    [[nodiscard]] std::vector<std::string> step_files() const;
    [[nodiscard]] std::string journal_path() const { return path_ + "/journal"; }
    [[nodiscard]] std::string metrics_path() const { return path_ + "/metrics.jsonl"; }
    /// Where the file `name` of this run lies, e.g. "report.html".
    [[nodiscard]] std::string file(std::string_view name) const;
    /// True when a run was begun here.
    [[nodiscard]] bool holds_run() const;

    /// True while a process that lives holds the lock.
    [[nodiscard]] bool is_being_written() const;

    /// Tries to make a file here and in the folders below (or in the nearest directory that exists)
    /// and removes it again. Throws UsageError with path and reason when that fails or a file is in
    /// the way.
    void check_writable() const;
    /// Throws UsageError naming a file when there are files here that are neither hidden nor of a run.
    void check_is_free() const;
    /// Throws UsageError that says so, with the remedy, when another job's run is here. No run is fine.
    /// `tell_differences` is given the text of that run's job.json and returns lines that say what differs.
    void check_belongs_to(
        const std::string& job_hash,
        const std::function<std::string(const std::string&)>& tell_differences = {}) const;

    /// Makes the directory or takes up the one there: lock first, then check_belongs_to, then
    /// job.json. Throws UsageError that says who holds the lock when another writer is alive, or that
    /// names the model that is another one than the run was begun with; Error (exit 1) when the disk
    /// refuses.
    void create(const std::string& job_json, const std::string& job_hash, const RunModels& models);
    /// The models that the run here was begun with; empty texts where no run is.
    [[nodiscard]] RunModels models() const;
    /// Tells other hosts that this writer lives: call it from the loop at least once a minute
    /// (costs a look at the clock; touches the lock every 15 s). Throws Error (exit 1) when the
    /// lock was lost to another writer. Pre: create().
    void keep_alive();

    /// Writes LATEST. Call after the step was saved.
    void set_latest(std::int64_t step);
    /// What LATEST says; for people and reports. Resuming does not trust it: see load_newest.
    [[nodiscard]] std::optional<std::string> latest() const;
    /// Appends one JSON object, durably. Pre: `line` is one line; it should have an integer "step".
    void append_metrics(std::string_view line);
    /// Drops what was measured after `step`, the final test evaluation and a torn last line, so that
    /// what is redone does not appear twice. Call on every start, with -1 when there is no step to
    /// resume from.
    void truncate_metrics(std::int64_t step);
    /// Replaces a whole file of the run atomically, e.g. "prompts.json".
    void write_file(std::string_view name, std::string_view bytes);
    /// Removes a file of the run, if it is there.
    void remove_file(std::string_view name);

  private:
    void check_models(const RunModels& models) const;

    std::string path_;
    std::unique_ptr<RunLock> lock_;
};

}  // namespace dln
