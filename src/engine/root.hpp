#pragma once
// Rank 0's side of one graph: expands tasks, gives units out, collects results, sums tables.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/scheduler.hpp"
#include "dln/engine/task_graph.hpp"

namespace dln {

/// Units that are made ready, or taken by one rank, before what was taken goes on: a server should have the
/// first calls before the last ones are written.
inline constexpr std::size_t kUnitsATurn = 16;

class Root {
  public:
    /// `runner` is this rank's: others want as many units. `first_unit`: units are numbered on from here,
    /// over all graphs of a run. `graph_number` keeps the task ids of one graph apart from those of another
    /// on the other ranks. All must outlive this object.
    Root(Communicator& comm,
         TaskGraph& graph,
         const UnitRunner& runner,
         std::uint64_t first_unit,
         std::uint64_t graph_number);

    /// A unit for this rank.
    struct Own {
        std::uint64_t id = 0;
        TaskId task = 0;
        std::size_t first_cell = 0;
        std::string payload;
    };

    /// Units that a rank may hold at once follow from what the runner wants by now: for each backend those
    /// that keep it busy, and one that is on its way.
    void set_windows();
    [[nodiscard]] bool done() const noexcept { return graph_.complete(); }
    [[nodiscard]] std::uint64_t next_unit() const noexcept { return next_unit_; }
    [[nodiscard]] const EngineProgress& progress() const noexcept { return progress_; }
    /// No rank holds a unit, and no sum or expansion is due: only units that nobody has are left, if any.
    [[nodiscard]] bool nothing_is_under_way() const;
    /// A sum over ranks is under way.
    [[nodiscard]] bool waits_for_sum() const;
    // Each returns true when it did something.
    bool expand_ready();
    /// Throws BackendError when another rank's backend has failed.
    bool receive();
    /// Gives units to ranks that have room; those of this rank, kUnitsATurn at most, to `take_own`.
    bool hand_out(const std::function<void(Own)>& take_own);
    /// The last turn left something to expand, or to hand out to this rank.
    [[nodiscard]] bool has_more() const noexcept { return has_more_ || graph_.has_ready(); }
    void unit_finished(int rank, std::uint64_t id, UnitResult result);
    /// Starts and ends sums; `own_table(task, cells)` gives and forgets this rank's part.
    bool progress_sums(
        const std::function<std::vector<std::int64_t>(TaskId, std::size_t)>& own_table);

  private:
    struct PendingUnit {
        TaskId task = 0;
        std::size_t place = 0;  // among the task's units
        Unit unit;
    };
    struct PendingTask {
        std::size_t missing = 0;
        std::vector<UnitResult>
            results;  // by unit, so that nothing depends on the order of arrival
        bool wants_sum = false;
        std::unique_ptr<PendingSum> sum;
    };
    [[nodiscard]] Scheduler& scheduler_of(ModelRole model);
    void give(int rank, std::uint64_t id, const std::function<void(Own)>& take_own);
    void finish(TaskId id, std::vector<std::int64_t> table);
    [[nodiscard]] TaskId global_id(TaskId id) const noexcept { return (graph_number_ << 32) + id; }

    Communicator& comm_;
    TaskGraph& graph_;
    const UnitRunner& runner_;
    // One a backend, so that no unit waits behind those of the other model: the forward model's first.
    std::vector<Scheduler> schedulers_;
    std::uint64_t next_unit_;
    std::uint64_t graph_number_;
    EngineProgress progress_;
    bool has_more_ = false;
    std::map<std::uint64_t, PendingUnit> units_;
    std::map<TaskId, PendingTask> tasks_;
};

}  // namespace dln
