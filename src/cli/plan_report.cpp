#include "cli/plan_report.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/engine/budget.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

// 12,345
std::string whole(double number) {
    std::string digits = std::to_string(std::llround(number));
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

/// A limit of /budget and what the run does to it.
struct Limit {
    const char* name;
    double limit;
    double expected;
    double most;
};

// Budgets count what the journal holds as well.
std::vector<Limit> limits_of(const Job& job,
                             const Plan& plan,
                             const std::optional<PlanTiming>& timing) {
    const PlanPart total = plan.total();
    const RequestCost expected = total.expected.sum() + plan.recalled;
    const RequestCost most = total.most.sum();
    const auto tokens = [](const RequestCost& cost) {
        return cost.input_tokens + cost.output_tokens;
    };
    std::vector<Limit> limits;
    const BudgetSpec& budget = job.budget;
    if (budget.requests > 0) {
        limits.push_back(
            {"requests", static_cast<double>(budget.requests), expected.requests, most.requests});
    }
    if (budget.tokens > 0) {
        limits.push_back(
            {"tokens", static_cast<double>(budget.tokens), tokens(expected), tokens(most)});
    }
    if (budget.money > 0.0) {
        limits.push_back({"money", budget.money, expected.money, most.money});
    }
    if (budget.hours > 0.0 && timing) {
        const double hours = timing->time.seconds / 3600.0;
        limits.push_back({"hours", budget.hours, hours, hours});
    }
    return limits;
}

const char* verdict(const Limit& limit) {
    if (limit.expected > limit.limit) return "not enough: the run would stop with exit code 4";
    return limit.most > limit.limit ? "enough for what is expected, not for the most" : "enough";
}

void print_row(const Job& job, const std::string& name, const RequestCost& cost) {
    fmt::print("{:<34} {:>12} {:>14} {:>14}", name, whole(cost.requests), whole(cost.input_tokens),
               whole(cost.output_tokens));
    if (has_prices(job)) fmt::print(" {:>12.4f}", cost.money);
    fmt::print("\n");
}

void print_table(const Job& job, const Plan& plan) {
    fmt::print("{:<34} {:>12} {:>14} {:>14}{}\n", "", "requests", "input tokens", "output tokens",
               has_prices(job) ? fmt::format(" {:>12}", "money") : "");
    if (plan.probe.expected.sum().requests > 0.0) {
        print_row(job, "probe of the server", plan.probe.expected.sum());
    }
    print_row(job, fmt::format("{} steps", plan.steps), plan.training.expected.sum());
    print_row(job, fmt::format("{:.1f} evaluations on dev", plan.basis.dev_evaluations),
              plan.dev.expected.sum());
    print_row(job, "evaluations on test", plan.test.expected.sum());
    print_row(job, "expected in all", plan.total().expected.sum());
    print_row(job, "nine of ten simulated runs: from", plan.low);
    print_row(job, "                              to", plan.high);
    print_row(job, "at most", plan.total().most.sum());
}

std::string length_text(const SampledLength& length) {
    if (length.texts == 0) return fmt::format("{:.0f} tokens, the most allowed", length.tokens);
    return fmt::format("{:.1f} ± {:.1f} tokens ({} written for this plan)", length.tokens,
                       length.error, length.texts);
}

std::string right_text(const PlanBasis& basis) {
    if (basis.answers == 0) {
        return "any share of right answers from chance to all: none was looked at";
    }
    return fmt::format("right answers as under the initial prompts, {:.0f} of {} for this plan",
                       basis.right, basis.answers);
}

void print_basis(const Plan& plan) {
    const PlanBasis& basis = plan.basis;
    fmt::print("assumed: replies to proposals of {}, {:.0f} % of them new prompts\n",
               length_text(basis.replies), 100.0 * basis.usable);
    if (plan.total().expected.texts.output_tokens > 0.0 && basis.outputs.texts > 0) {
        fmt::print("assumed: outputs of {}\n", length_text(basis.outputs));
    }
    for (std::size_t l = 0; l < basis.latents.size(); ++l) {
        fmt::print("assumed: layer {} writes {}, samples of it have {}; equal ones as there\n",
                   l + 1, length_text(basis.latents[l]), length_text(basis.samples[l]));
    }
    if (basis.is_rehearsed) {
        fmt::print("assumed: {}\n", right_text(basis));
    }
    fmt::print(
        "assumed: {:.1f} candidates a step{}; the incumbent falls in {:.1f} of {} steps ({}: only "
        "chance tells prompts apart in {:.0f} % of the simulated runs)\n",
        basis.candidates, basis.latents.empty() ? "" : " and layer", basis.wins, plan.steps,
        basis.is_chance_measured ? "by their scores on a few examples" : "not measured",
        100.0 * basis.chance);
    if (plan.recalled.requests >= 0.5) {
        fmt::print("{} requests more are asked for again and come from the run's journal\n",
                   whole(plan.recalled.requests));
    }
}

void print_chain(const Plan& plan, const std::optional<PlanTiming>& timing) {
    const RequestChain chain = plan.longest_chain();
    const RequestChain& step = plan.step_chain;
    fmt::print("longest chain of a step: {} requests, {} for scores and {} for texts\n",
               step.length(), step.scores, step.texts);
    fmt::print(
        "longest chain: {} requests that wait for each other, {} for scores and {} for texts",
        chain.length(), chain.scores, chain.texts);
    if (!timing) {
        fmt::print("\n");
        return;
    }
    fmt::print(": {:.1f} s\n", timing->time.chain_seconds);
    const PlanSpeed& speed = timing->speed;
    fmt::print(
        "measured: {:.3f} s for an example's scores alone, {:.3f} s for a text alone; {:.1f} "
        "requests for scores and {:.1f} texts a second with up to {} calls in flight\n",
        speed.score_seconds, speed.text_seconds, speed.scores_per_second, speed.texts_per_second,
        speed.in_flight);
    fmt::print("about {:.0f} s in all\n", std::ceil(timing->time.seconds));
}

Json to_json(const Job& job, const RequestCost& cost) {
    Json json{{"requests", std::llround(cost.requests)},
              {"input_tokens", std::llround(cost.input_tokens)},
              {"output_tokens", std::llround(cost.output_tokens)}};
    if (has_prices(job)) json["money"] = cost.money;
    return json;
}

// What making the plan cost.
RequestCost cost_of_plan(const Job& job,
                         const Plan& plan,
                         const std::optional<PlanTiming>& timing) {
    Usage forward = plan.basis.sent;
    if (timing) forward += timing->speed.sent;
    return priced(cost_of(forward), job.backend) +
           priced(cost_of(plan.basis.sent_backward), backward_spec(job));
}

Json to_json(const Job& job, const PlanPart& part) {
    return {{"expected", to_json(job, part.expected.sum())},
            {"most", to_json(job, part.most.sum())}};
}

Json to_json(const SampledLength& length) {
    return {{"tokens", length.tokens}, {"error", length.error}, {"texts", length.texts}};
}

Json to_json(const std::vector<SampledLength>& lengths) {
    Json list = Json::array();
    for (const SampledLength& length : lengths) list.push_back(to_json(length));
    return list;
}

Json to_json(const RequestChain& chain) {
    return {{"requests", chain.length()}, {"scores", chain.scores}, {"texts", chain.texts}};
}

Json to_json(const PlanTiming& timing) {
    const PlanSpeed& speed = timing.speed;
    return {{"seconds", timing.time.seconds},
            {"chain_seconds", timing.time.chain_seconds},
            {"score_seconds", speed.score_seconds},
            {"text_seconds", speed.text_seconds},
            {"scores_per_second", speed.scores_per_second},
            {"texts_per_second", speed.texts_per_second},
            {"in_flight", speed.in_flight}};
}

}  // namespace

void print_plan(const Job& job,
                const BackendInfo& backend,
                const Plan& plan,
                const std::optional<PlanTiming>& timing) {
    fmt::print("{}: {}\n", job.name, backend.description);
    print_table(job, plan);
    print_chain(plan, timing);
    print_basis(plan);
    for (const Limit& limit : limits_of(job, plan, timing)) {
        fmt::print("budget of {:.6g} {}: {:.0f} % expected, {:.0f} % at most: {}\n", limit.limit,
                   limit.name, 100.0 * limit.expected / limit.limit,
                   100.0 * limit.most / limit.limit, verdict(limit));
    }
    const RequestCost sent = cost_of_plan(job, plan, timing);
    fmt::print("this plan cost {} requests of {} tokens\n", whole(sent.requests),
               whole(sent.input_tokens + sent.output_tokens));
}

nlohmann::ordered_json plan_to_json(const Job& job,
                                    const BackendInfo& backend,
                                    const Plan& plan,
                                    const std::optional<PlanTiming>& timing) {
    Json json{{"name", job.name},
              {"model", backend.model},
              {"steps", plan.steps},
              {"training", to_json(job, plan.training)},
              {"dev", to_json(job, plan.dev)},
              {"test", to_json(job, plan.test)},
              {"probe", to_json(job, plan.probe)},
              {"total", to_json(job, plan.total())},
              {"nine_of_ten", {{"from", to_json(job, plan.low)}, {"to", to_json(job, plan.high)}}},
              {"recalled", to_json(job, plan.recalled)},
              {"step_chain", to_json(plan.step_chain)},
              {"longest_chain", to_json(plan.longest_chain())},
              {"basis",
               {{"replies", to_json(plan.basis.replies)},
                {"outputs", to_json(plan.basis.outputs)},
                {"latents", to_json(plan.basis.latents)},
                {"samples", to_json(plan.basis.samples)},
                {"right", plan.basis.right},
                {"answers", plan.basis.answers},
                {"usable", plan.basis.usable},
                {"candidates", plan.basis.candidates},
                {"wins", plan.basis.wins},
                {"chance", plan.basis.chance},
                {"is_chance_measured", plan.basis.is_chance_measured},
                {"dev_evaluations", plan.basis.dev_evaluations}}}};
    if (timing) json["time"] = to_json(*timing);
    Json budget = Json::object();
    for (const Limit& limit : limits_of(job, plan, timing)) {
        budget[limit.name] = {{"limit", limit.limit},
                              {"expected", limit.expected},
                              {"most", limit.most},
                              {"is_enough", limit.expected <= limit.limit}};
    }
    json["budget"] = std::move(budget);
    json["sent"] = to_json(job, cost_of_plan(job, plan, timing));
    return json;
}

}  // namespace dln
