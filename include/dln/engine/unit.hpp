#pragma once
// The smallest piece of work that a rank takes. What a unit is made of is fixed by the job, never by the
// number of ranks, so its result is the same wherever and whenever it is computed. Pure data.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln {

/// Which of a job's two models computes something: the forward model runs the layers and gives the scores that
/// candidates are chosen by, the backward model writes proposals and posterior samples.
enum class ModelRole : int { forward = 0, backward = 1 };

/// Work for the runner that the engine was given; the engine itself does not look into `payload`.
struct Unit {
    std::string payload;
    ModelRole model = ModelRole::forward;
    /// Units of equal affinity share something worth keeping on one rank (a candidate's prefix).
    std::uint64_t affinity = 0;
    /// Where its cells begin in the table of its task, and how many there are.
    std::size_t first_cell = 0;
    std::size_t cells = 0;
};

/// What came of a unit. `cells` go into the task's table through an exact sum over ranks; the rest
/// travels to rank 0 in a message.
struct UnitResult {
    std::vector<std::int64_t> cells;
    std::vector<std::string> texts;
    Usage usage;
    std::int64_t failures = 0;  ///< requests that gave no result
    std::string first_failure;  ///< why, for people
};

/// Computes units on this rank: renders requests, gives them to the backend, reads the replies.
class UnitRunner {
  public:
    virtual ~UnitRunner() = default;
    /// Takes a unit; its result will carry `id`.
    virtual void start(std::uint64_t id, const std::string& payload) = 0;
    struct Finished {
        std::uint64_t id = 0;
        UnitResult result;
    };
    /// Makes progress for one bounded piece of work on each backend and returns the units that it completed.
    /// When there is nothing to do but to wait for servers, it waits for at most `wait`.
    [[nodiscard]] virtual std::vector<Finished> advance(std::chrono::milliseconds wait) = 0;
    /// How many units of `model` should be under way here to keep its backend busy; may change with what is
    /// learnt.
    [[nodiscard]] virtual std::size_t wanted_units(ModelRole model) const = 0;
    /// True: the backward model has a backend of its own, which other units neither keep busy nor hold up.
    /// The same on all ranks.
    [[nodiscard]] virtual bool has_backward() const { return false; }
    /// What became of the calls that its units made so far.
    [[nodiscard]] virtual BackendCounts counts() const { return {}; }
};

}  // namespace dln
