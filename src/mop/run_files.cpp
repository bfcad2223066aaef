#include "mop/run_files.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "dln/mop/split_losses_json.hpp"

namespace dln::mop {
namespace {

using Json = nlohmann::ordered_json;

Json sum_json(const LossSum& sum) {
    return {{"examples", sum.examples},
            {"tokens", sum.tokens},
            {"accuracy", sum.accuracy()},
            {"nll", sum.mean_nll()},
            {"perplexity", sum.perplexity()}};
}

Json sums_json(const MopJob& job, const SplitSums& sums) {
    Json json = sum_json(sums.all());
    for (std::size_t task = 0; task < sums.tasks.size(); ++task) {
        json["tasks"][job.tasks[task].name] = sum_json(sums.tasks[task]);
    }
    return json;
}

Json pair(const Interval& interval) { return {interval.low, interval.high}; }

void add_intervals(const SplitLosses& losses,
                   const std::vector<std::size_t>& task_of,
                   std::size_t task,
                   const LossSum& sum,
                   std::uint64_t seed,
                   Json& json) {
    json["accuracy_95"] = pair(wilson_interval(static_cast<std::size_t>(sum.right),
                                               static_cast<std::size_t>(sum.examples)));
    json["perplexity_95"] = pair(perplexity_interval(losses, task_of, task, seed));
}

}  // namespace

Json split_losses_json(const MopJob& job, const SplitLosses& losses, const MixtureTexts& texts) {
    const std::size_t tasks = job.tasks.size();
    const SplitSums sums = sums_of(losses, texts.task_of, tasks);
    const GateTable gate = gate_table(losses, texts.task_of, tasks);
    Json json = sums_json(job, sums);
    add_intervals(losses, texts.task_of, kAllTasks, sums.all(), job.seed, json);
    for (std::size_t task = 0; task < tasks; ++task) {
        Json& one = json["tasks"][job.tasks[task].name];
        add_intervals(losses, texts.task_of, task, sums.tasks[task], job.seed, one);
        one["gate"] = {{"mean_weight", gate.mean_weight[task]},
                       {"most_heeded", gate.most_heeded[task]}};
    }
    return json;
}

std::string train_line(std::int64_t step, const TrainedStep& taken) {
    return Json{{"step", step},
                {"split", "train"},
                {"tokens", taken.tokens},
                {"nll", taken.nll / static_cast<double>(std::max<std::int64_t>(1, taken.tokens))}}
        .dump();
}

std::string metrics_line(const MopJob& job,
                         std::int64_t step,
                         std::string_view split,
                         const SplitSums& sums) {
    Json line{{"step", step}, {"split", split}};
    line.update(sums_json(job, sums));
    return line.dump();
}

std::string result_json(const MopJob& job, const MopOutcome& outcome, const MixtureTexts& test) {
    Json json{{"format", 1},
              {"system", "mop"},
              {"job", job.name},
              {"steps_done", outcome.state.steps_done},
              {"tokens", outcome.state.tokens}};
    if (outcome.state.best) {
        json["dev"] = sums_json(job, outcome.state.best->dev);
        json["dev"]["step"] = outcome.state.best->step;
    }
    if (outcome.test) {
        Json& found = json["test"];
        found = split_losses_json(job, *outcome.test, test);
        // As in results of networks, for dln compare: example by example.
        std::string right;
        for (const TextLoss& loss : outcome.test->losses) right += loss.right ? '1' : '0';
        found["right"] = right;
        found["data_sha256"] = test.digest;
    }
    json["measured"] = {{"seconds", outcome.seconds}};
    return json.dump(2) + "\n";
}

std::string diverged_json(std::int64_t step, std::string_view split, std::int64_t good) {
    return Json{{"format", 1}, {"step", step}, {"split", split}, {"last_good_step", good}}.dump(2) +
           "\n";
}

}  // namespace dln::mop
