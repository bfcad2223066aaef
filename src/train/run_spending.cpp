#include "train/run_spending.hpp"

#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/train/state.hpp"
#include "dln/train/trainer.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

RequestCost backward_spent_from(const Json& json) {
    return {.requests = json.at("requests").get<double>(),
            .input_tokens = json.at("prompt_tokens").get<double>(),
            .output_tokens = json.at("output_tokens").get<double>()};
}

// spent.json, when it was written behind the step `after_step`: a later step file tells more.
std::optional<Spending> read_spent(const std::string& path, std::int64_t after_step) {
    std::ifstream file(path);
    const Json json = Json::parse(file, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    try {
        if (json.at("after_step").get<std::int64_t>() != after_step) return std::nullopt;
        return Spending{.requests = json.at("requests").get<std::int64_t>(),
                        .prompt_tokens = json.at("prompt_tokens").get<std::int64_t>(),
                        .generated_tokens = json.at("generated_tokens").get<std::int64_t>(),
                        .discarded_tokens = json.value("discarded_tokens", std::int64_t{0}),
                        .seconds = json.at("seconds").get<double>(),
                        .backward = json.contains("backward")
                                        ? backward_spent_from(json.at("backward"))
                                        : RequestCost{}};
    } catch (const Json::exception&) {
        return std::nullopt;  // the step file tells nearly the same
    }
}

// Whether the files that follow from the newest step file are there: a kill may have come between.
bool has_followed(const RunDirectory& run, std::int64_t step) {
    std::ifstream file(run.file("prompts.json"));
    const Json prompts = Json::parse(file, nullptr, false);
    return run.latest() == step_file_name(step) && prompts.is_object() &&
           prompts.value("steps_done", std::int64_t{-1}) == step;
}

}  // namespace

Json backward_spent_json(const Spending& spent) {
    return {{"requests", std::llround(spent.backward.requests)},
            {"prompt_tokens", std::llround(spent.backward.input_tokens)},
            {"output_tokens", std::llround(spent.backward.output_tokens)}};
}

std::string spent_json(std::int64_t after_step, const Spending& spent) {
    Json json{{"format", 1},
              {"after_step", after_step},
              {"requests", spent.requests},
              {"prompt_tokens", spent.prompt_tokens},
              {"generated_tokens", spent.generated_tokens},
              {"discarded_tokens", spent.discarded_tokens},
              {"seconds", spent.seconds}};
    if (spent.backward != RequestCost{}) json["backward"] = backward_spent_json(spent);
    return json.dump(2) + "\n";
}

Spending spent_so_far(const RunDirectory& run, const std::optional<StepFile>& newest) {
    Spending spent;
    if (newest) {
        const StepDocument& document = newest->document;
        const bool has_seconds = document.contains(kRunSeconds);
        const TrainState state = read_state(document);
        spent = spending_of(state.usage, state.backward_usage.value_or(Usage{}),
                            has_seconds ? document.real(kRunSeconds) : 0.0);
    }
    return read_spent(run.file(kSpentFile), newest ? newest->header.step : -1).value_or(spent);
}

std::string budget_message(const Job& job, const Spending& spent, std::int64_t steps_done) {
    return fmt::format(
        "{}: {} {} of {} steps {} complete{}", job.path, Budget(job).why_spent(spent), steps_done,
        job.train.steps, steps_done == 1 ? "is" : "are",
        uses_servers(job) ? "; what was paid for behind them is in the journal." : ".");
}

void check_budget_left(const Job& job, const RunDirectory& run, CheckpointStore& store) {
    const Budget budget(job);
    if (!budget.is_limited() || !run.holds_run()) return;
    std::optional<StepFile> newest;
    if (auto loaded = store.load_newest()) newest = std::move(loaded->file);
    const Spending spent = spent_so_far(run, newest);
    if (!budget.is_spent_by(spent)) return;
    if (newest && !has_followed(run, newest->header.step)) return;  // train() writes them first
    throw BudgetError(budget_message(job, spent, newest ? newest->header.step : 0));
}

}  // namespace dln
