#pragma once
// Why a run should stop before its end: a signal, or a time at which it has to be over. The process then
// exits with 75 ("submit again"). The one place that handles signals.

#include <chrono>
#include <optional>
#include <string>

namespace dln {

/// From construction to destruction SIGUSR1, SIGTERM and SIGINT end this process with 75 at once (nothing is
/// under way yet that ending in order would save), and after defer() they are only remembered. A second SIGINT
/// then kills it, as SIGINT does by default. At most one object at a time.
class StopSignals {
  public:
    StopSignals();
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    /// From now on whoever calls received() often ends the process in order.
    static void defer() noexcept;
    /// "SIGUSR1", for example; empty: none yet.
    [[nodiscard]] static std::string received();
};

/// By when a run has to be over.
class StopTime {
  public:
    /// `max_hours` from now, unless it is 0; and the end of the Slurm job that this process is part of
    /// (SLURM_JOB_END_TIME), where there is one.
    explicit StopTime(double max_hours);
    /// Which of the two is so near that stopping has to begin; empty: none. Costs a look at the clock.
    [[nodiscard]] std::string reached() const;

  private:
    struct Limit {
        std::chrono::system_clock::time_point begin_stopping;
        std::string name;
    };
    std::optional<Limit> nearest_;
};

/// The signal that was received, else which time is reached; empty: go on.
[[nodiscard]] std::string stop_reason(const StopTime& time);

}  // namespace dln
