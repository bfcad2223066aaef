#include "dln/train/plan.hpp"

#include <algorithm>

#include "dln/train/evaluate.hpp"
#include "dln/train/propose.hpp"

namespace dln {
namespace {

constexpr std::size_t kSample = 200;

// Mean tokens of a call of the last layer, over its templates and a sample of a split.
double mean_call_tokens(const Network& network, const Dataset& split, Backend& backend) {
    if (split.empty()) return 0.0;
    const std::size_t last = network.depth() - 1;
    const LayerSpec& layer = network.layer(last);
    const std::size_t count = std::min(kSample, split.size());
    double tokens = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t t = i % layer.templates.size();
        const Context context = network.context(last, {layer.prompts.front(), t}, split[i].input);
        tokens += backend.count_tokens(context);
        std::vector<std::string> targets;
        if (network.has_classes()) {
            targets = network.class_forms(t).targets;
        } else if (measure_for(network) == Measure::target) {
            targets.push_back(network.separator(last, t) + std::string(split[i].target));
        }
        for (const std::string& target : targets) tokens += backend.count_tokens({.text = target});
    }
    return tokens / static_cast<double>(count);
}

// One evaluation of the whole network on `examples` examples.
PlannedWork evaluation(const Network& network,
                       std::size_t examples,
                       double call_tokens,
                       Measure measure) {
    PlannedWork work;
    const auto count = static_cast<std::int64_t>(examples);
    for (std::size_t l = 0; l + 1 < network.depth(); ++l) {
        work.generation_calls += count;
        work.generated_tokens += count * network.layer(l).max_tokens;
        work.context_tokens += static_cast<std::int64_t>(call_tokens * static_cast<double>(count));
    }
    if (measure == Measure::correct) {
        work.generation_calls += count;
        work.generated_tokens += count * network.layer(network.depth() - 1).max_tokens;
    } else {
        work.scoring_calls += count;
    }
    work.context_tokens += static_cast<std::int64_t>(call_tokens * static_cast<double>(count));
    return work;
}

PlannedWork proposals(const Job& job, const Dataset& train, std::int64_t count, Backend& backend) {
    const Proposer proposer(job.train.proposals);
    ProposalInput input{.seed = job.seed, .prompts = job.network.layers.back().prompts};
    for (std::size_t i = 0; i < std::min(job.train.batch_size, train.size()); ++i) {
        input.batch.push_back({.input = std::string(train[i].input),
                               .target = std::string(train[i].target),
                               .output = std::string(train[i].target),
                               .right = i % 2 == 0});
    }
    PlannedWork work;
    for (std::int64_t i = 0; i < count; ++i) {
        const auto item =
            proposer.item(input, static_cast<std::size_t>(i), [](const Context&) { return true; });
        if (!item) continue;
        ++work.generation_calls;
        work.context_tokens += backend.count_tokens(item->context);
        work.generated_tokens += job.train.proposals.max_tokens;
    }
    return work;
}

PlannedWork one_step(const Job& job,
                     const Network& network,
                     const Dataset& train,
                     double call_tokens,
                     Backend& backend) {
    const std::size_t batch = std::min(job.train.batch_size, train.size());
    const std::size_t ranked = job.train.held_out_ranking && batch > 1 ? batch - batch / 2 : batch;
    const std::size_t candidates = job.train.candidates + job.train.memory +
                                   network.layer(network.depth() - 1).templates.size() - 1;
    const Measure forward = network.has_classes() ? Measure::classes : Measure::correct;
    const Measure score = measure_for(network);
    PlannedWork work = evaluation(network, ranked * candidates, call_tokens, score);
    const bool is_shared = forward == score && forward == Measure::classes && ranked == batch;
    if (!is_shared) work += evaluation(network, batch, call_tokens, forward);
    work += proposals(job, train, static_cast<std::int64_t>(job.train.candidates) - 1, backend);
    return work;
}

}  // namespace

PlannedWork& PlannedWork::operator+=(const PlannedWork& other) {
    scoring_calls += other.scoring_calls;
    generation_calls += other.generation_calls;
    context_tokens += other.context_tokens;
    generated_tokens += other.generated_tokens;
    return *this;
}

PlannedWork PlannedWork::times(std::int64_t count) const {
    return {scoring_calls * count, generation_calls * count, context_tokens * count,
            generated_tokens * count};
}

PlannedWork Plan::total() const {
    PlannedWork all = step.times(steps);
    all += dev.times(dev_evaluations);
    all += test;
    return all;
}

Plan make_plan(const Job& job,
               const Network& network,
               const std::vector<Dataset>& splits,
               Backend& backend) {
    Plan plan{.steps = job.train.steps};
    const Dataset& train = splits[kTrainSplit];
    plan.step = one_step(job, network, train, mean_call_tokens(network, train, backend), backend);
    const Measure measure = measure_for_evaluation(network);
    if (const Dataset& dev = splits[kDevSplit]; !dev.empty()) {
        plan.dev =
            evaluation(network, dev.size(), mean_call_tokens(network, dev, backend), measure);
        const std::int64_t rounds =
            (job.train.steps + job.train.eval_every - 1) / job.train.eval_every;
        plan.dev_evaluations = rounds * static_cast<std::int64_t>(job.train.eval_candidates) +
                               (job.train.eval_initial ? 1 : 0);
    }
    if (const Dataset& test = splits[kTestSplit]; !test.empty()) {
        plan.test =
            evaluation(network, test.size(), mean_call_tokens(network, test, backend), measure)
                .times(2);
    }
    // A step: forward, propose, score; then the evaluation on dev.
    const auto depth = static_cast<std::int64_t>(network.depth());
    plan.longest_chain = job.train.steps * (depth + 2) + plan.dev_evaluations * depth + depth;
    return plan;
}

}  // namespace dln
