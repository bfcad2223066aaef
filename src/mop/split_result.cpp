#include "dln/mop/split_result.hpp"

#include <algorithm>
#include <cmath>

#include "dln/comm/fixed_point.hpp"

namespace dln::mop {

double LossSum::mean_nll() const {
    return tokens == 0 ? 0.0 : from_fixed_point(nll) / static_cast<double>(tokens);
}

double LossSum::perplexity() const { return std::exp(mean_nll()); }

double LossSum::accuracy() const {
    return examples == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(examples);
}

LossSum SplitSums::all() const {
    LossSum sum;
    for (const LossSum& task : tasks) {
        sum.examples += task.examples;
        sum.tokens += task.tokens;
        sum.right += task.right;
        sum.nll += task.nll;
    }
    return sum;
}

SplitSums sums_of(const SplitLosses& losses,
                  const std::vector<std::size_t>& task_of,
                  std::size_t tasks) {
    SplitSums sums{.tasks = std::vector<LossSum>(tasks)};
    for (std::size_t i = 0; i < losses.losses.size(); ++i) {
        const TextLoss& loss = losses.losses[i];
        if (!std::isfinite(loss.nll)) {
            sums.has_diverged = true;
            continue;
        }
        LossSum& task = sums.tasks.at(task_of[i]);
        ++task.examples;
        task.tokens += static_cast<std::int64_t>(loss.tokens);
        task.right += loss.right ? 1 : 0;
        task.nll += to_fixed_point(loss.nll);
    }
    return sums;
}

GateTable gate_table(const SplitLosses& losses,
                     const std::vector<std::size_t>& task_of,
                     std::size_t tasks) {
    const std::size_t experts = losses.gate.columns;
    GateTable table{.mean_weight = {tasks, std::vector<double>(experts)},
                    .most_heeded = {tasks, std::vector<std::int64_t>(experts)}};
    std::vector<double> texts(tasks);
    for (std::size_t i = 0; i < losses.losses.size(); ++i) {
        const std::span<const float> gate = losses.gate.row(i);
        const std::size_t task = task_of[i];
        ++texts[task];
        for (std::size_t e = 0; e < experts; ++e) table.mean_weight[task][e] += gate[e];
        const auto most = std::ranges::max_element(gate) - gate.begin();
        ++table.most_heeded[task][static_cast<std::size_t>(most)];
    }
    for (std::size_t task = 0; task < tasks; ++task) {
        for (double& weight : table.mean_weight[task]) weight /= std::max(1.0, texts[task]);
    }
    return table;
}

Interval perplexity_interval(const SplitLosses& losses,
                             const std::vector<std::size_t>& task_of,
                             std::size_t task,
                             std::uint64_t seed) {
    std::vector<double> nll;
    std::vector<double> tokens;
    for (std::size_t i = 0; i < losses.losses.size(); ++i) {
        const bool is_counted = task == kAllTasks || task_of[i] == task;
        if (!is_counted || !std::isfinite(losses.losses[i].nll)) continue;
        nll.push_back(losses.losses[i].nll);
        tokens.push_back(static_cast<double>(losses.losses[i].tokens));
    }
    const Interval mean = bootstrap_ratio(nll, tokens, seed);
    return {.low = std::exp(mean.low), .high = std::exp(mean.high)};
}

}  // namespace dln::mop
