#pragma once
// One writer a run directory: a file made with O_EXCL that says who writes (flock does not reach
// across hosts on every file system). Private to src/store.
//
// A holder that is dead is recognised on its own host by process number, start time and boot; a job
// that Slurm requeued recognises its earlier self by the job id; on another host a holder counts as
// dead when it has not touched the lock for kSilence, by the file system's clock.

#include <chrono>
#include <string>

namespace dln {

/// Who holds a lock, as written into it.
struct LockHolder {
    std::string host;
    int pid = 0;
    std::string process_start;
    std::string boot_id;
    std::string process_namespace;
    std::string job_id;   ///< SLURM_JOB_ID, "" outside Slurm
    std::string restart;  ///< SLURM_RESTART_COUNT
    friend bool operator==(const LockHolder&, const LockHolder&) = default;
};

/// This process as a holder.
[[nodiscard]] LockHolder this_process();

/// True when the lock at `path` is there and its holder lives.
[[nodiscard]] bool lock_is_held(const std::string& path);

class RunLock {
  public:
    static constexpr std::chrono::seconds kTouchEvery{15};
    static constexpr std::chrono::minutes kSilence{5};

    /// Takes the lock, from a dead holder too. Throws UsageError naming the live holder.
    explicit RunLock(std::string path, std::chrono::seconds touch_every = kTouchEvery);
    /// Removes the lock unless another writer took it over.
    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

    /// Touches the lock when due. Throws Error when it is no longer this process's.
    void keep_alive();

  private:
    [[nodiscard]] bool is_ours() const;

    std::string path_;
    std::chrono::seconds touch_every_;
    LockHolder self_;
    std::chrono::steady_clock::time_point touched_;
};

}  // namespace dln
