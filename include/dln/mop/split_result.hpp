#pragma once
// What the losses of a split come to: perplexities of tasks and of all, right answers, what the gate does. Pure; rank 0.

#include <cstdint>
#include <string>
#include <vector>

#include "dln/mop/ranks.hpp"
#include "dln/report/statistics.hpp"

namespace dln::mop {

/// Of one task, or of all together.
struct LossSum {
    std::int64_t examples = 0;
    std::int64_t tokens = 0;  ///< of answers
    std::int64_t right = 0;   ///< answers that greedy generation would give
    std::int64_t nll = 0;     ///< fixed point
    friend bool operator==(const LossSum&, const LossSum&) = default;
    /// Nats a token.
    [[nodiscard]] double mean_nll() const;
    /// exp(total NLL / total answer tokens).
    [[nodiscard]] double perplexity() const;
    [[nodiscard]] double accuracy() const;
};

/// Sums of a split by task; a task without an example has none.
struct SplitSums {
    std::vector<LossSum> tasks;
    bool has_diverged = false;  ///< a loss is no finite number; it is in no sum
    friend bool operator==(const SplitSums&, const SplitSums&) = default;
    [[nodiscard]] LossSum all() const;
};
[[nodiscard]] SplitSums sums_of(const SplitLosses& losses,
                                const std::vector<std::size_t>& task_of,
                                std::size_t tasks);

/// The gate by task: the mean weight of each expert, and how many texts heed it most.
struct GateTable {
    std::vector<std::vector<double>> mean_weight;        ///< [tasks][E]
    std::vector<std::vector<std::int64_t>> most_heeded;  ///< [tasks][E]
};
[[nodiscard]] GateTable gate_table(const SplitLosses& losses,
                                   const std::vector<std::size_t>& task_of,
                                   std::size_t tasks);

/// 95 % interval of the perplexity of the texts of one task (or of all, with task == npos) by the percentile bootstrap
/// over texts. As in sums_of, losses that are no finite number are left out.
inline constexpr std::size_t kAllTasks = static_cast<std::size_t>(-1);
[[nodiscard]] Interval perplexity_interval(const SplitLosses& losses,
                                           const std::vector<std::size_t>& task_of,
                                           std::size_t task,
                                           std::uint64_t seed);

}  // namespace dln::mop
