#pragma once
// A UnitRunner without a model: what a unit gives follows from the numbers in its payload, and units are
// completed in another order than they were started in.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "dln/engine/unit.hpp"

namespace dln::testing {

/// Unit `number` with `cells` cells, which will be 100 * number, 100 * number + 1, ...
inline Unit fake_unit(int number, std::size_t first_cell, std::size_t cells) {
    return {.payload = std::to_string(number) + " " + std::to_string(cells),
            .affinity = static_cast<std::uint64_t>(number % 3),
            .first_cell = first_cell,
            .cells = cells};
}

/// Units 0 ... count-1 of `cells` cells each, side by side in one table.
inline std::vector<Unit> fake_units(int count, std::size_t cells) {
    std::vector<Unit> units;
    for (int i = 0; i < count; ++i) {
        units.push_back(fake_unit(i, static_cast<std::size_t>(i) * cells, cells));
    }
    return units;
}

/// The table that fake_units(count, cells) gives.
inline std::vector<std::int64_t> fake_table(int count, std::size_t cells) {
    std::vector<std::int64_t> table;
    for (int i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < cells; ++j) {
            table.push_back(100 * i + static_cast<std::int64_t>(j));
        }
    }
    return table;
}

inline std::string fake_text(int number) { return "text of " + std::to_string(number); }

class FakeRunner : public UnitRunner {
  public:
    explicit FakeRunner(std::chrono::microseconds a_round = {}) : a_round_(a_round) {}

    void start(std::uint64_t id, const std::string& payload) override {
        std::istringstream in(payload);
        Held held{.id = id};
        in >> held.number >> held.cells;
        held.rounds = 1 + (held.number * 7) % 5;
        held_.push_back(held);
    }

    std::vector<Finished> advance(std::chrono::milliseconds /*wait*/) override {
        std::this_thread::sleep_for(a_round_);
        std::vector<Finished> finished;
        for (Held& held : held_) {
            if (--held.rounds == 0) finished.push_back({held.id, result_of(held)});
        }
        std::erase_if(held_, [](const Held& held) { return held.rounds == 0; });
        std::ranges::reverse(finished);
        for (const Finished& unit : finished) order_.push_back(unit.id);
        return finished;
    }

    [[nodiscard]] std::size_t wanted_units(ModelRole) const override { return 3; }
    /// Units that this runner has completed, in order.
    [[nodiscard]] const std::vector<std::uint64_t>& order() const { return order_; }

  private:
    struct Held {
        std::uint64_t id = 0;
        int number = 0;
        std::size_t cells = 0;
        int rounds = 1;
    };
    static UnitResult result_of(const Held& held) {
        UnitResult result;
        for (std::size_t j = 0; j < held.cells; ++j) {
            result.cells.push_back(100 * held.number + static_cast<std::int64_t>(j));
        }
        result.texts = {fake_text(held.number)};
        result.usage = {.calls = 1, .standalone_tokens = held.number};
        if (held.number % 4 == 2) {
            result.failures = 1;
            result.first_failure = "unit " + std::to_string(held.number);
        }
        return result;
    }

    std::chrono::microseconds a_round_;
    std::vector<Held> held_;
    std::vector<std::uint64_t> order_;
};

/// Its units never end.
class StuckRunner : public FakeRunner {
  public:
    std::vector<Finished> advance(std::chrono::milliseconds /*wait*/) override { return {}; }
};

}  // namespace dln::testing
