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
    if (entry.missing == 0) make_ready(id);
    return id;
}

void TaskGraph::make_ready(TaskId id) {
    (entries_[id].task.can_wait ? ready_to_wait_ : ready_).push_back(id);
}

const TaskResult& TaskGraph::result(TaskId id) const {
    DLN_ASSERT(id < entries_.size() && entries_[id].is_complete, "task {} is not complete", id);
    return entries_[id].result;
}

TaskGraph::Expanded TaskGraph::expand_next() {
    DLN_ASSERT(has_ready(), "no task is ready");
    std::deque<TaskId>& from = ready_.empty() ? ready_to_wait_ : ready_;
    Expanded expanded{
        .id = from.front(), .units = {}, .can_wait = entries_[from.front()].task.can_wait};
    from.pop_front();
    // Taken out first: the function may add tasks.
    const auto expand = std::move(entries_[expanded.id].task.expand);
    if (expand) expanded.units = expand();
    return expanded;
}

void TaskGraph::complete(TaskId id, TaskResult result) {
    Entry& entry = entries_[id];
    DLN_ASSERT(!entry.is_complete, "task {} completes twice", id);
    entry.result = std::move(result);
    if (entry.task.finish) entry.task.finish(entry.result);
    entry.is_complete = true;
    ++completed_;
    for (const TaskId waiting : entry.needed_by) {
        if (--entries_[waiting].missing == 0) make_ready(waiting);
    }
}

}  // namespace dln
