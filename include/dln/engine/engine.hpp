#pragma once
// The loop that every rank runs: messages, sums and the backend take turns in one thread, and nothing
// waits but for what it needs. Rank 0 gives units out and takes units itself when it has nothing to
// decide; the others serve. With one rank the same code runs without MPI.

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/engine/scheduler.hpp"
#include "dln/engine/task_graph.hpp"
#include "dln/engine/unit.hpp"
#include "dln/llm/backend.hpp"

namespace dln {

/// Seconds that this rank spent; measurements, never part of a result.
struct EngineTimes {
    double backend = 0.0;  ///< inside the backend
    double waiting = 0.0;  ///< with nothing to do
};

/// How far a graph has come. More units become known as its tasks are expanded.
struct EngineProgress {
    std::size_t units_known = 0;
    std::size_t units_done = 0;
    Usage usage;           ///< of the units that are done
    Usage backward_usage;  ///< the backward model's part of it, where that has a backend of its own
    std::string
        halt_asked;  ///< why another rank wants all to halt, see ask_to_halt_when(); empty: none does
};

/// Whether and how run() ends before its graph is complete.
enum class Halt {
    no,
    after_units,  ///< no more units are given out; those under way end
    at_once,  ///< and those are not waited for: what they come to is lost, and no other graph can be run
};

/// Thrown by Engine::run() when halt_when() ended it. Unless that was at once, no unit is under way any more,
/// on any rank.
class EngineHalted : public std::exception {
  public:
    explicit EngineHalted(EngineProgress progress) : progress_(std::move(progress)) {}
    [[nodiscard]] const char* what() const noexcept override { return "the engine was halted"; }
    [[nodiscard]] const EngineProgress& progress() const noexcept { return progress_; }

  private:
    EngineProgress progress_;
};

class Engine {
  public:
    /// Both must outlive the engine. All ranks make one.
    Engine(Communicator& comm, UnitRunner& runner);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    /// Rank 0 only: computes the whole graph, tasks that it grows meanwhile included. The other ranks
    /// must be in serve(). Throws EngineHalted, see halt_when(); BackendError when any rank's backend has
    /// failed: that rank and the others still serve, but no graph can be run any more.
    void run(TaskGraph& graph);
    /// Ranks other than 0: computes units until rank 0 calls stop_serving().
    void serve();
    /// Ranks other than 0: asked on every turn of serve()'s loop, so it must be cheap. The first text that is not
    /// empty is told to rank 0 (EngineProgress::halt_asked), which decides.
    void ask_to_halt_when(std::function<std::string()> why) { ask_to_halt_ = std::move(why); }
    /// Rank 0 only: called on every turn of run()'s loop, so it must be cheap.
    void on_turn(std::function<void(const EngineProgress&)> call) { on_turn_ = std::move(call); }
    /// Rank 0 only: asked on every turn of run()'s loop, so it must be cheap. Once it says to halt, that
    /// cannot be taken back, and run() throws EngineHalted unless nothing is left to compute.
    void halt_when(std::function<Halt(const EngineProgress&)> call) {
        halt_when_ = std::move(call);
    }
    /// Rank 0 only: what became of the calls of all ranks, since each began. The other ranks must be in
    /// serve(); also after run() has thrown BackendError.
    [[nodiscard]] BackendCounts total_counts();
    /// Rank 0 only: lets the other ranks return from serve().
    void stop_serving();
    [[nodiscard]] const EngineTimes& times() const noexcept { return times_; }

  private:
    struct Held {
        TaskId task = 0;
        std::size_t first_cell = 0;
    };
    void accept(std::uint64_t id, TaskId task, std::size_t first_cell, const std::string& payload);
    [[nodiscard]] std::vector<UnitRunner::Finished> advance_runner();
    [[nodiscard]] bool advance_and_report();
    void tell_wish_to_halt();
    void keep_cells(const Held& held, const std::vector<std::int64_t>& cells);
    [[nodiscard]] std::vector<std::int64_t> take_table(TaskId task, std::size_t cells);
    void end_sums();
    [[nodiscard]] std::chrono::milliseconds longest_wait() const;
    void end_turn(bool progress, bool busy);
    void idle();

    Communicator& comm_;
    UnitRunner& runner_;
    std::map<std::uint64_t, Held> held_;
    std::map<TaskId, std::vector<std::int64_t>> tables_;
    std::vector<std::unique_ptr<PendingSum>> sums_;  // of ranks other than 0
    EngineTimes times_;
    std::function<void(const EngineProgress&)> on_turn_;
    std::function<Halt(const EngineProgress&)> halt_when_;
    std::function<std::string()> ask_to_halt_;  // of ranks other than 0; empty once it was told
    std::uint64_t next_unit_ = 0;
    std::uint64_t graphs_ = 0;
    int ranks_per_core_;
    bool is_waited_for_ = false;  ///< a sum is under way
    bool has_more_ = false;       ///< units to take as soon as those that are held have gone on
    bool has_failed_ = false;     // on this rank, which is not 0: it takes no units any more
    bool has_left_units_ =
        false;  // on rank 0: units of a graph that was halted at once are still under way
    int idle_rounds_ = 0;
    int quiet_rounds_ = 0;
};

}  // namespace dln
