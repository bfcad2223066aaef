#pragma once
// What a step needs computed, and what has to be known before each part can even be said: a dependency
// graph that may grow while it runs. A task becomes ready when all that it needs is complete; it is then
// expanded into units, and complete when these are and its table has been summed. Rank 0 only; pure but
// for the functions that it is given.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "dln/engine/unit.hpp"

namespace dln {

using TaskId = std::size_t;

/// What a complete task gives.
struct TaskResult {
    std::vector<std::int64_t> table;              ///< one cell after another
    std::vector<std::vector<std::string>> texts;  ///< by unit
    Usage usage;
    std::int64_t failures = 0;
    std::string first_failure;
};

struct Task {
    std::vector<TaskId> needs;
    /// Says the units; called once, when everything needed is complete. May add tasks to the graph.
    std::function<std::vector<Unit>()> expand;
    std::size_t cells = 0;  ///< of the table; 0: no table
    /// Nothing waits for it but the end of the graph: what others wait for goes first. Changes no result.
    bool can_wait = false;
    /// What becomes of the result before anybody reads it; empty: nothing.
    std::function<void(TaskResult&)> finish = {};
};

class TaskGraph {
  public:
    /// Pre: every id in `task.needs` was returned by this graph.
    TaskId add(Task task);
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool complete() const noexcept { return completed_ == entries_.size(); }
    /// Pre: the task is complete.
    [[nodiscard]] const TaskResult& result(TaskId id) const;

    // For the engine.
    /// A ready task that was not expanded yet: those that cannot wait first, then in order of readiness.
    struct Expanded {
        TaskId id = 0;
        std::vector<Unit> units;
        bool can_wait = false;
    };
    [[nodiscard]] bool has_ready() const noexcept {
        return !ready_.empty() || !ready_to_wait_.empty();
    }
    [[nodiscard]] Expanded expand_next();
    [[nodiscard]] std::size_t cells(TaskId id) const { return entries_[id].task.cells; }
    void complete(TaskId id, TaskResult result);

  private:
    struct Entry {
        Task task;
        std::size_t missing = 0;
        std::vector<TaskId> needed_by;
        bool is_complete = false;
        TaskResult result;
    };
    void make_ready(TaskId id);

    std::deque<Entry> entries_;
    std::deque<TaskId> ready_;
    std::deque<TaskId> ready_to_wait_;
    std::size_t completed_ = 0;
};

}  // namespace dln
