#include "dln/engine/engine.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

#include "dln/error.hpp"

#include "engine/root.hpp"
#include "engine/wire.hpp"

namespace dln {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Engine::Engine(Communicator& comm, UnitRunner& runner) : comm_(comm), runner_(runner) {}
Engine::~Engine() = default;

void Engine::accept(std::uint64_t id,
                    TaskId task,
                    std::size_t first_cell,
                    const std::string& payload) {
    held_[id] = {task, first_cell};
    runner_.start(id, payload);
}

std::vector<UnitRunner::Finished> Engine::advance_runner() {
    if (held_.empty()) return {};
    const Clock::time_point start = Clock::now();
    std::vector<UnitRunner::Finished> finished = runner_.advance();
    times_.backend += seconds_since(start);
    for (const UnitRunner::Finished& unit : finished) {
        keep_cells(held_.at(unit.id), unit.result.cells);
    }
    return finished;
}

void Engine::keep_cells(const Held& held, const std::vector<std::int64_t>& cells) {
    std::vector<std::int64_t>& table = tables_[held.task];
    table.resize(std::max(table.size(), held.first_cell + cells.size()), 0);
    std::ranges::copy(cells, table.begin() + static_cast<std::ptrdiff_t>(held.first_cell));
}

std::vector<std::int64_t> Engine::take_table(TaskId task, std::size_t cells) {
    std::vector<std::int64_t> table = std::move(tables_[task]);
    tables_.erase(task);
    DLN_ASSERT(table.size() <= cells, "task {} has {} cells of {}", task, table.size(), cells);
    table.resize(cells, 0);
    return table;
}

// Ranks share cores with each other and with model servers: one that has nothing to do must not spin.
void Engine::idle() {
    ++idle_rounds_;
    const auto pause = std::chrono::microseconds(std::min(50 * idle_rounds_, 1000));
    const Clock::time_point start = Clock::now();
    std::this_thread::sleep_for(pause);
    times_.waiting += seconds_since(start);
}

void Engine::run(TaskGraph& graph) {
    DLN_ASSERT(comm_.rank() == 0, "rank {} runs a graph", comm_.rank());
    Root root(comm_, graph, runner_.wanted_units() + 1, next_unit_, graphs_++);
    while (!root.done()) {
        if (on_turn_) on_turn_(root.progress());
        bool progress = root.expand_ready();
        progress |= root.receive();
        progress |= root.send_units();
        if (const auto own = root.next_own()) {
            accept(own->id, own->task, own->first_cell, own->payload);
            progress = true;
        }
        progress |= !held_.empty();
        for (UnitRunner::Finished& unit : advance_runner()) {
            held_.erase(unit.id);
            root.unit_finished(0, unit.id, std::move(unit.result));
        }
        progress |= root.progress_sums(
            [this](TaskId task, std::size_t cells) { return take_table(task, cells); });
        if (progress) {
            idle_rounds_ = 0;
        } else {
            idle();
        }
    }
    next_unit_ = root.next_unit();
    tables_.clear();
}

void Engine::serve() {
    DLN_ASSERT(comm_.rank() != 0, "rank 0 does not serve");
    for (;;) {
        bool progress = !held_.empty();
        while (const auto message = comm_.receive()) {
            progress = true;
            const wire::Order order = wire::decode_order(message->bytes);
            if (order.kind == wire::OrderKind::stop) return end_sums();
            if (order.kind == wire::OrderKind::sum) {
                sums_.push_back(comm_.start_sum(take_table(order.task, order.cells)));
            } else {
                accept(order.unit, order.task, order.first_cell, order.payload);
            }
        }
        for (UnitRunner::Finished& unit : advance_runner()) {
            held_.erase(unit.id);
            unit.result.cells.clear();  // they travel with the sum
            comm_.send(0, wire::encode_result(unit.id, unit.result));
        }
        std::erase_if(sums_, [](const auto& sum) { return sum->done(); });
        if (progress) {
            idle_rounds_ = 0;
        } else {
            idle();
        }
    }
}

void Engine::end_sums() {
    while (!sums_.empty()) {
        std::erase_if(sums_, [](const auto& sum) { return sum->done(); });
    }
}

void Engine::stop_serving() {
    for (int rank = 1; rank < comm_.size(); ++rank) {
        comm_.send(rank, wire::encode_order(wire::Order{}));
    }
}

}  // namespace dln
