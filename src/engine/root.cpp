#include "engine/root.hpp"

#include <algorithm>

#include "dln/error.hpp"

#include "engine/wire.hpp"

namespace dln {

Root::Root(Communicator& comm,
           TaskGraph& graph,
           const UnitRunner& runner,
           std::uint64_t first_unit,
           std::uint64_t graph_number)
    : comm_(comm),
      graph_(graph),
      runner_(runner),
      schedulers_(runner.has_backward() ? 2 : 1, Scheduler(comm.size())),
      next_unit_(first_unit),
      graph_number_(graph_number) {}

Scheduler& Root::scheduler_of(ModelRole model) {
    return schedulers_[model == ModelRole::backward ? schedulers_.size() - 1 : 0];
}

void Root::set_windows() {
    for (const ModelRole model : {ModelRole::forward, ModelRole::backward}) {
        scheduler_of(model).set_window(runner_.wanted_units(model) + 1);
    }
}

bool Root::nothing_is_under_way() const {
    for (const Scheduler& scheduler : schedulers_) {
        for (int rank = 0; rank < comm_.size(); ++rank) {
            if (scheduler.held_by(rank) > 0) return false;
        }
    }
    return !graph_.has_ready() && std::ranges::none_of(tasks_, [](const auto& entry) {
        return entry.second.wants_sum || entry.second.sum;
    });
}

bool Root::expand_ready() {
    bool did = false;
    for (std::size_t units = 0; graph_.has_ready() && units < kUnitsATurn;) {
        did = true;
        TaskGraph::Expanded expanded = graph_.expand_next();
        if (expanded.units.empty()) {
            graph_.complete(expanded.id,
                            {.table = std::vector<std::int64_t>(graph_.cells(expanded.id), 0),
                             .texts = {},
                             .usage = {},
                             .failures = 0,
                             .first_failure = {}});
            continue;
        }
        units += expanded.units.size();
        PendingTask& task = tasks_[expanded.id];
        task.missing = expanded.units.size();
        progress_.units_known += expanded.units.size();
        task.results.resize(expanded.units.size());
        for (std::size_t i = 0; i < expanded.units.size(); ++i) {
            scheduler_of(expanded.units[i].model)
                .add(next_unit_, expanded.units[i].affinity, expanded.can_wait);
            units_[next_unit_++] = {expanded.id, i, std::move(expanded.units[i])};
        }
    }
    return did;
}

bool Root::receive() {
    bool did = false;
    while (auto message = comm_.receive()) {
        did = true;
        if (const auto failure = wire::failure_of(message->bytes)) {
            throw BackendError(fmt::format("rank {}: {}", message->source, *failure));
        }
        if (const auto why = wire::wish_to_halt_of(message->bytes)) {
            progress_.halt_asked = fmt::format("rank {}: {}", message->source, *why);
            continue;
        }
        auto [id, result] = wire::decode_result(message->bytes);
        unit_finished(message->source, id, std::move(result));
    }
    return did;
}

bool Root::hand_out(const std::function<void(Own)>& take_own) {
    bool did = false;
    std::size_t own = 0;
    has_more_ = false;
    // One a rank in turn, so that the first ranks do not take everything.
    for (bool gave = true; gave;) {
        gave = false;
        for (Scheduler& scheduler : schedulers_) {
            for (int rank = 0; rank < comm_.size(); ++rank) {
                if (rank == 0 && own == kUnitsATurn) {
                    has_more_ = has_more_ || scheduler.has_ready();
                    continue;
                }
                const auto id = scheduler.next_for(rank);
                if (!id) continue;
                gave = did = true;
                own += rank == 0 ? 1 : 0;
                give(rank, *id, take_own);
            }
        }
    }
    return did;
}

void Root::give(int rank, std::uint64_t id, const std::function<void(Own)>& take_own) {
    PendingUnit& pending = units_.at(id);
    if (rank == 0) {
        take_own({.id = id,
                  .task = global_id(pending.task),
                  .first_cell = pending.unit.first_cell,
                  .payload = std::move(pending.unit.payload)});
        return;
    }
    comm_.send(rank, wire::encode_order({.kind = wire::OrderKind::unit,
                                         .task = global_id(pending.task),
                                         .unit = id,
                                         .first_cell = pending.unit.first_cell,
                                         .cells = pending.unit.cells,
                                         .payload = std::move(pending.unit.payload)}));
}

void Root::unit_finished(int rank, std::uint64_t id, UnitResult result) {
    const auto found = units_.find(id);
    DLN_ASSERT(found != units_.end(), "rank {} finished unit {}, which nobody has", rank, id);
    const ModelRole model = found->second.unit.model;
    scheduler_of(model).finished(rank);
    ++progress_.units_done;
    progress_.usage += result.usage;
    if (model == ModelRole::backward && runner_.has_backward()) {
        progress_.backward_usage += result.usage;
    }
    PendingTask& task = tasks_.at(found->second.task);
    task.results[found->second.place] = std::move(result);
    const TaskId task_id = found->second.task;
    units_.erase(found);
    if (--task.missing > 0) return;
    if (graph_.cells(task_id) == 0) {
        finish(task_id, {});
    } else {
        task.wants_sum = true;
    }
}

bool Root::progress_sums(
    const std::function<std::vector<std::int64_t>(TaskId, std::size_t)>& own_table) {
    bool did = false;
    std::vector<TaskId> summed;
    for (auto& [id, task] : tasks_) {
        if (task.wants_sum) {
            // The order goes out before the collective starts, and messages keep their order: every rank
            // joins the sums in the same sequence.
            task.wants_sum = false;
            did = true;
            const std::size_t cells = graph_.cells(id);
            for (int rank = 1; rank < comm_.size(); ++rank) {
                comm_.send(rank, wire::encode_order({.kind = wire::OrderKind::sum,
                                                     .task = global_id(id),
                                                     .cells = cells,
                                                     .payload = {}}));
            }
            task.sum = comm_.start_sum(own_table(global_id(id), cells));
        }
        if (task.sum && task.sum->done()) summed.push_back(id);
    }
    for (const TaskId id : summed) {
        did = true;
        finish(id, tasks_.at(id).sum->take());
    }
    return did;
}

bool Root::waits_for_sum() const {
    return std::ranges::any_of(tasks_,
                               [](const auto& entry) { return entry.second.sum != nullptr; });
}

void Root::finish(TaskId id, std::vector<std::int64_t> table) {
    TaskResult whole{
        .table = std::move(table), .texts = {}, .usage = {}, .failures = 0, .first_failure = {}};
    for (UnitResult& part : tasks_.at(id).results) {
        whole.texts.push_back(std::move(part.texts));
        whole.usage += part.usage;
        whole.failures += part.failures;
        if (whole.first_failure.empty()) whole.first_failure = std::move(part.first_failure);
    }
    tasks_.erase(id);
    graph_.complete(id, std::move(whole));
}

}  // namespace dln
