#include "dln/engine/task_graph.hpp"

#include "dln/error.hpp"

namespace dln {

TaskId TaskGraph::add(Task task) {
    const TaskId id = entries_.size();
    Entry& entry = entries_.emplace_back();
    entry.task = std::move(task);
    for (const TaskId need : entry.task.needs) {
        DLN_ASSERT(need < id, "task {} needs {}, which is not there yet", id, need);
        if (entries_[need].is_complete) continue;
        entries_[need].needed_by.push_back(id);
        ++entry.missing;
    }
    if (entry.missing == 0) ready_.push_back(id);
    return id;
}

const TaskResult& TaskGraph::result(TaskId id) const {
    DLN_ASSERT(id < entries_.size() && entries_[id].is_complete, "task {} is not complete", id);
    return entries_[id].result;
}

TaskGraph::Expanded TaskGraph::expand_next() {
    DLN_ASSERT(!ready_.empty(), "no task is ready");
    Expanded expanded{.id = ready_.front(), .units = {}};
    ready_.pop_front();
    // Taken out first: the function may add tasks.
    const auto expand = std::move(entries_[expanded.id].task.expand);
    if (expand) expanded.units = expand();
    return expanded;
}

void TaskGraph::complete(TaskId id, TaskResult result) {
    Entry& entry = entries_[id];
    DLN_ASSERT(!entry.is_complete, "task {} completes twice", id);
    entry.result = std::move(result);
    entry.is_complete = true;
    ++completed_;
    for (const TaskId waiting : entry.needed_by) {
        if (--entries_[waiting].missing == 0) ready_.push_back(waiting);
    }
}

}  // namespace dln
