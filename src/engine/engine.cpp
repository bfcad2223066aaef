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

// With one rank nobody sends messages; the observer wants its turn.
constexpr std::chrono::milliseconds kAlone{50};

// As if all ranks were on this machine, within reason: on a cluster they are not, and cores are many.
int ranks_a_core(int ranks) {
    constexpr int kMost = 10;
    const int cores = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    return std::clamp((ranks + cores - 1) / cores, 1, kMost);
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Engine::Engine(Communicator& comm, UnitRunner& runner)
    : comm_(comm), runner_(runner), ranks_per_core_(ranks_a_core(comm.size())) {}
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
    std::vector<UnitRunner::Finished> finished = runner_.advance(longest_wait());
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

// Ranks share cores with each other and with model servers: one that has nothing to do must not spin, and
// the more ranks share a core, the less often each may look for messages. A rank holds a unit more than it
// needs, so that nothing stands still meanwhile. A sum is waited for by others: look often.
std::chrono::milliseconds Engine::longest_wait() const {
    constexpr std::chrono::milliseconds kOften{1};
    if (has_more_) return std::chrono::milliseconds(0);
    if (comm_.size() == 1) return kAlone;
    if (is_waited_for_ || quiet_rounds_ < 2) return kOften;
    return std::min(kOften * quiet_rounds_, kOften * ranks_per_core_);
}

void Engine::idle() {
    ++idle_rounds_;
    const auto pause = std::min<std::chrono::microseconds>(
        std::chrono::microseconds(50 * idle_rounds_), std::chrono::milliseconds(ranks_per_core_));
    const Clock::time_point start = Clock::now();
    std::this_thread::sleep_for(pause);
    times_.waiting += seconds_since(start);
}

// Whether anything happened in this turn of the loop; `busy`: units are being computed.
void Engine::end_turn(bool progress, bool busy) {
    quiet_rounds_ = progress ? 0 : quiet_rounds_ + 1;
    if (progress || busy) {
        idle_rounds_ = 0;
    } else {
        idle();
    }
}

void Engine::run(TaskGraph& graph) {
    DLN_ASSERT(comm_.rank() == 0, "rank {} runs a graph", comm_.rank());
    DLN_ASSERT(!has_left_units_, "graph {} after one that was halted at once", graphs_);
    Root root(comm_, graph, runner_, next_unit_, graphs_++);
    Halt halt = Halt::no;
    while (!root.done()) {
        if (on_turn_) on_turn_(root.progress());
        root.set_windows();
        bool progress = root.expand_ready();
        progress |= root.receive();
        // With what has just been received, before more is handed out.
        if (halt_when_) halt = std::max(halt, halt_when_(root.progress()));
        if (halt == Halt::at_once || (halt != Halt::no && root.nothing_is_under_way())) break;
        if (halt == Halt::no) {
            progress |= root.hand_out([this](const Root::Own& own) {
                accept(own.id, own.task, own.first_cell, own.payload);
            });
        }
        is_waited_for_ = root.waits_for_sum();
        has_more_ = halt == Halt::no && root.has_more();
        for (UnitRunner::Finished& unit : advance_runner()) {
            held_.erase(unit.id);
            root.unit_finished(0, unit.id, std::move(unit.result));
            progress = true;
        }
        progress |= root.progress_sums(
            [this](TaskId task, std::size_t cells) { return take_table(task, cells); });
        end_turn(progress, !held_.empty());
    }
    next_unit_ = root.next_unit();
    tables_.clear();
    has_left_units_ = !root.done() && !root.nothing_is_under_way();
    if (!root.done()) throw EngineHalted(root.progress());
}

void Engine::serve() {
    DLN_ASSERT(comm_.rank() != 0, "rank 0 does not serve");
    for (;;) {
        bool progress = false;
        tell_wish_to_halt();
        is_waited_for_ = !sums_.empty();
        has_more_ = false;
        for (std::size_t taken = 0; !has_more_;) {
            const auto message = comm_.receive();
            if (!message) break;
            progress = true;
            has_more_ = ++taken == kUnitsATurn;
            const wire::Order order = wire::decode_order(message->bytes);
            if (order.kind == wire::OrderKind::stop) return end_sums();
            if (order.kind == wire::OrderKind::sum) {
                sums_.push_back(comm_.start_sum(take_table(order.task, order.cells)));
            } else if (order.kind == wire::OrderKind::counts) {
                sums_.push_back(comm_.start_sum(to_values(runner_.counts())));
            } else if (!has_failed_) {
                accept(order.unit, order.task, order.first_cell, order.payload);
            }
        }
        progress |= advance_and_report();
        std::erase_if(sums_, [](const auto& sum) { return sum->done(); });
        end_turn(progress, !held_.empty());
    }
}

// Returns whether a unit was finished.
bool Engine::advance_and_report() {
    bool finished = false;
    try {
        for (UnitRunner::Finished& unit : advance_runner()) {
            held_.erase(unit.id);
            unit.result.cells.clear();  // they travel with the sum
            comm_.send(0, wire::encode_result(unit.id, unit.result));
            finished = true;
        }
    } catch (const BackendError& error) {
        // Rank 0 ends the run in order. Until then sums and counts need this rank as well.
        comm_.send(0, wire::encode_failure(error.what()));
        has_failed_ = true;
        held_.clear();
    }
    return finished;
}

void Engine::tell_wish_to_halt() {
    if (!ask_to_halt_) return;
    const std::string why = ask_to_halt_();
    if (why.empty()) return;
    comm_.send(0, wire::encode_wish_to_halt(why));
    ask_to_halt_ = {};
}

BackendCounts Engine::total_counts() {
    DLN_ASSERT(comm_.rank() == 0, "rank {} asks for counts", comm_.rank());
    for (int rank = 1; rank < comm_.size(); ++rank) {
        comm_.send(rank, wire::encode_order({.kind = wire::OrderKind::counts, .payload = {}}));
    }
    const auto sum = comm_.start_sum(to_values(runner_.counts()));
    while (!sum->done()) idle();
    idle_rounds_ = 0;
    return backend_counts_from(sum->take());
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
