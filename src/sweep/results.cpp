#include "dln/sweep/results.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/run_summary.hpp"

namespace dln {
namespace {

using Json = nlohmann::json;

Json read_result(const std::string& run_dir) {
    const std::string path = run_dir + "/result.json";
    Json json = Json::parse(read_whole_file(path), nullptr, false);
    if (json.is_object()) return json;
    throw UsageError(
        fmt::format("{}: is no JSON object: the file is damaged. Remove it and run the trial "
                    "again: it goes on from its step files.",
                    printable(path)));
}

const Json* value_at(const Json& result, const std::string& pointer) {
    try {
        const Json::json_pointer place(pointer);
        return result.contains(place) ? &result.at(place) : nullptr;
    } catch (const Json::exception&) {
        return nullptr;  // "~2", or an index that is no number
    }
}

std::optional<double> metric_of(const Json& result, const SweepMetric& metric) {
    const Json* value = value_at(result, metric.pointer);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->get<double>();
}

template <class Number>
Number number_or_zero(const Json& result, const char* pointer) {
    const Json* value = value_at(result, pointer);
    return value != nullptr && value->is_number() ? value->get<Number>() : Number{};
}

TrialCost cost_of(const Json& result) {
    return {.requests = number_or_zero<std::int64_t>(result, "/spent/requests"),
            .recalled = number_or_zero<std::int64_t>(result, "/measured/recalled"),
            .prompt_tokens = number_or_zero<std::int64_t>(result, "/spent/prompt_tokens"),
            .generated_tokens = number_or_zero<std::int64_t>(result, "/spent/generated_tokens"),
            .seconds = number_or_zero<double>(result, "/measured/seconds")};
}

// Of a trial that has no result yet, by its newest step file.
TrialCost cost_so_far(const TrialResult& trial) {
    std::error_code failure;
    if (!std::filesystem::exists(trial.run_dir, failure)) return {};
    try {
        const std::optional<Spending> spent = read_run_summary(trial.run_dir).spent;
        if (!spent) return {};
        return {.requests = spent->requests,
                .recalled = 0,
                .prompt_tokens = spent->prompt_tokens,
                .generated_tokens = spent->generated_tokens,
                .seconds = spent->seconds};
    } catch (const Error&) {
        return {};  // it has only begun, or is being written
    }
}

// Where a result has numbers.
std::vector<std::string> reported_by(const Json& result) {
    std::vector<std::string> pointers;
    const Json flat = result.flatten();
    for (const auto& [pointer, value] : flat.items()) {
        if (value.is_number()) pointers.push_back(pointer);
    }
    return pointers;
}

[[noreturn]] void fail_unreported(const SweepSpec& spec,
                                  std::uint64_t finished,
                                  const Json& result) {
    const std::vector<std::string> known = reported_by(result);
    const auto near = near_miss(spec.metric.pointer, known);
    std::string list;
    for (const std::string& pointer : known) list += (list.empty() ? "" : ", ") + pointer;
    throw UsageError(
        fmt::format("{}: /metric/pointer: none of the {} finished trials has a number at {} in its "
                    "result.json. Expected one of: {}.{}",
                    printable(spec.path), finished, printable(spec.metric.pointer, 80), list,
                    near ? fmt::format(" Did you mean \"{}\"?", *near) : std::string()));
}

void summarise(ConfigurationResult& result) {
    if (result.metrics.empty()) return;
    const double sum = std::accumulate(result.metrics.begin(), result.metrics.end(), 0.0);
    result.mean = sum / static_cast<double>(result.metrics.size());
    result.interval = interval_of_mean(result.metrics);
}

}  // namespace

TrialCost& TrialCost::operator+=(const TrialCost& other) {
    requests += other.requests;
    recalled += other.recalled;
    prompt_tokens += other.prompt_tokens;
    generated_tokens += other.generated_tokens;
    seconds += other.seconds;
    return *this;
}

SweepResults read_results(const Trials& trials,
                          const SweepDirectory& directory,
                          const Decisions* decisions) {
    const SweepSpec& spec = trials.spec();
    SweepResults results{.progress = read_progress(trials, directory)};
    Json first;  // of a finished trial
    bool has_metric = false;
    for (std::uint64_t c = 0; c < trials.configurations(); ++c) {
        ConfigurationResult& here = results.configurations.emplace_back();
        here.configuration = c;
        if (decisions != nullptr) {
            const auto observed = decisions->observed().find(c);
            if (observed != decisions->observed().end()) here.observed = observed->second;
        }
        for (std::uint64_t s = 0; s < trials.seeds_each(); ++s) {
            Trial trial = trials.trial(c * trials.seeds_each() + s);
            TrialResult& its = here.trials.emplace_back(
                TrialResult{.number = trial.number,
                            .seed = trial.seed,
                            .run_dir = trial.run_dir,
                            .state = results.progress.states[trial.number]});
            if (s == 0) here.settings = std::move(trial.settings);
            if (its.state == TrialState::failed) {
                its.reason = results.progress.failures.at(its.number).reason;
            }
            if (its.state != TrialState::finished) {
                its.cost = cost_so_far(its);
                here.cost += its.cost;
                continue;
            }
            Json result = read_result(its.run_dir);
            its.cost = cost_of(result);
            here.cost += its.cost;
            its.metric = metric_of(result, spec.metric);
            its.steps = number_or_zero<std::int64_t>(result, "/steps_done");
            if (its.metric) {
                here.metrics.push_back(*its.metric);
                has_metric = true;
            }
            if (first.is_null()) first = std::move(result);
        }
        summarise(here);
        results.cost += here.cost;
    }
    if (!first.is_null() && !has_metric) {
        fail_unreported(spec, results.progress.count(TrialState::finished), first);
    }
    return results;
}

void require_metric(const Trial& trial, const SweepSpec& spec) {
    const Json result = read_result(trial.run_dir);
    if (!metric_of(result, spec.metric)) fail_unreported(spec, 1, result);
}

std::optional<double> read_ended_metric(const Trial& trial, const SweepMetric& metric) {
    std::error_code failure;
    if (!std::filesystem::exists(trial.run_dir + "/result.json", failure)) return std::nullopt;
    const Json result = read_result(trial.run_dir);
    const auto steps = number_or_zero<std::int64_t>(result, "/steps_done");
    return steps >= trial.pause_after ? metric_of(result, metric) : std::nullopt;
}

bool ConfigurationResult::is_complete() const {
    return metrics.size() == trials.size() &&
           std::ranges::all_of(trials,
                               [this](const TrialResult& one) { return one.steps == steps(); });
}

std::vector<const ConfigurationResult*> ranked(const SweepResults& results, const SweepSpec& spec) {
    std::vector<const ConfigurationResult*> order;
    for (const ConfigurationResult& one : results.configurations) {
        if (one.is_complete()) order.push_back(&one);
    }
    std::ranges::stable_sort(order, [&spec](const auto* a, const auto* b) {
        if (spec.halving && a->steps() != b->steps()) return a->steps() > b->steps();
        return spec.metric.goal == SweepGoal::max ? *a->mean > *b->mean : *a->mean < *b->mean;
    });
    return order;
}

}  // namespace dln
