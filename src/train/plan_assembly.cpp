#include "train/plan_assembly.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "dln/engine/budget.hpp"
#include "dln/llm/probe.hpp"

namespace dln {

std::int64_t dev_rounds(const TrainSpec& train, bool has_dev) {
    if (!has_dev) return 0;
    return (train.steps + train.eval_every - 1) / train.eval_every + (train.eval_initial ? 1 : 0);
}

void sum_up(const std::vector<Course>& courses, Plan& plan) {
    std::vector<RequestCost> totals;
    const double share = 1.0 / static_cast<double>(courses.size());
    for (const Course& one : courses) {
        plan.training.expected += one.steps * share;
        plan.dev.expected += one.dev * share;
        plan.test.expected += one.test * share;
        plan.recalled += one.recalled.sum() * share;
        plan.basis.candidates += one.candidates * share;
        plan.basis.wins += one.wins * share;
        plan.basis.dev_evaluations += one.dev_evaluations * share;
        totals.push_back(one.steps.sum() + one.dev.sum() + one.test.sum());
    }
    plan.basis.candidates /= std::max(static_cast<double>(plan.steps), 1.0);
    const std::size_t outside = courses.size() / 20;
    for (const auto number : kRequestCostNumbers) {
        std::ranges::sort(totals, {}, number);
        plan.low.*number = totals[outside].*number;
        plan.high.*number = totals[courses.size() - 1 - outside].*number;
    }
}

void add_probe(const BackendSpec& spec,
               Backend& backend,
               bool is_asked,
               double density,
               std::size_t begin_bytes,
               Plan& plan) {
    if (backend.info().kind != "http") return;
    const Slowness slowness = is_asked ? measure_slowness(backend) : Slowness{.is_slow = false};
    plan.basis.sent += slowness.used;
    const auto tokens = [&](const std::string& text) {
        const Context context{.text = text};
        return backend.counts_exactly(context) ? static_cast<double>(backend.count_tokens(context))
                                               : density * static_cast<double>(text.size());
    };
    const std::string begin = begin_bytes > 0 ? spec.begin_text : std::string();
    const auto cost_if = [&](bool is_slow) {
        return priced(cost_of_probe(backend.info().manner, tokens, begin, is_slow), spec);
    };
    const RequestCost cost = cost_if(slowness.is_slow);
    plan.probe.expected.scores = cost;
    plan.probe.most.scores = cost_if(false);
    for (RequestCost* each : {&plan.low, &plan.high}) *each += cost;
}

void raise(RequestChain& longest, const RequestChain& one) {
    if (one.length() > longest.length()) longest = one;
}

double share_of_right(double chance, double right, std::size_t answers, double place) {
    constexpr int kShares = 200;
    std::vector<double> weights;
    double sum = 0.0;
    double most = -1e300;
    const auto share = [&](int i) { return chance + (1.0 - chance) * (i + 0.5) / kShares; };
    const double wrong = static_cast<double>(answers) - right;
    for (int i = 0; i < kShares; ++i) {
        weights.push_back(right * std::log(share(i)) + wrong * std::log1p(-share(i)));
        most = std::max(most, weights.back());
    }
    for (double& weight : weights) sum += weight = std::exp(weight - most);
    double below = 0.0;
    for (int i = 0; i < kShares; ++i) {
        below += weights[static_cast<std::size_t>(i)] / sum;
        if (place < below) return share(i);
    }
    return share(kShares - 1);
}

}  // namespace dln
