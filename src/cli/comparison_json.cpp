// Comparisons for programs: docs/comparing.md says what the fields mean.

#include <nlohmann/json.hpp>

#include "cli/comparison_report.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(RunState state) {
    if (state == RunState::complete) return "complete";
    return state == RunState::unfinished ? "unfinished" : "out_of_budget";
}

Json to_json(const Interval& interval) { return {interval.low, interval.high}; }

Json to_json(const Spending& spent) {
    return {{"requests", spent.requests},
            {"input_tokens", spent.prompt_tokens},
            {"output_tokens", spent.output_tokens()},
            {"hours", spent.seconds / 3600.0}};
}

Json to_json(const TestSummary& test) {
    Json json{{"examples", test.examples}};
    if (test.measured) json["measured"] = *test.measured;
    if (test.right) {
        json["right"] = *test.right;
        json["accuracy"] = test.accuracy();
        json["accuracy_95"] = to_json(wilson_interval(static_cast<std::size_t>(*test.right),
                                                      static_cast<std::size_t>(test.examples)));
    }
    if (test.log_likelihood) json["log_likelihood"] = *test.log_likelihood;
    if (!test.data_sha256.empty()) json["data_sha256"] = test.data_sha256;
    return json;
}

Json to_json(const RunSummary& run) {
    Json json{{"run", run.path},
              {"name", run.name},
              {"seed", run.seed},
              {"model", run.model},
              {"state", name_of(run.state)},
              {"steps", run.steps}};
    if (!run.backward_model.empty()) json["backward_model"] = run.backward_model;
    if (run.steps_done) json["steps_done"] = *run.steps_done;
    if (run.test) json["test"] = to_json(*run.test);
    if (run.spent) json["spent"] = to_json(*run.spent);
    if (run.money) json["spent"]["money"] = *run.money;
    return json;
}

Json to_json(const Spread& spread) {
    Json json{{"mean", spread.mean}};
    if (spread.deviation) json["deviation"] = *spread.deviation;
    return json;
}

Json paired_json(const Comparison& comparison) {
    Json rows = Json::array();
    for (const PairedRow& row : comparison.paired) {
        rows.push_back({{"run", comparison.runs[row.run].path},
                        {"difference", row.bootstrap.difference},
                        {"bootstrap",
                         {{"resamples", kResamples},
                          {"difference_95", to_json(row.bootstrap.interval)},
                          {"p_value", row.bootstrap_p.raw},
                          {"p_holm", row.bootstrap_p.holm}}},
                        {"mcnemar",
                         {{"only_run_right", row.mcnemar.only_second},
                          {"only_against_right", row.mcnemar.only_first},
                          {"p_value", row.mcnemar_p.raw},
                          {"p_holm", row.mcnemar_p.holm}}}});
    }
    return rows;
}

Json groups_json(const Comparison& comparison) {
    Json groups = Json::array();
    for (const Group& group : comparison.groups) {
        Json json{{"name", group.name}, {"runs", Json::array()}};
        for (const std::size_t i : group.runs) json["runs"].push_back(comparison.runs[i].path);
        if (group.accuracy) json["accuracy"] = to_json(*group.accuracy);
        if (group.log_likelihood) json["log_likelihood"] = to_json(*group.log_likelihood);
        if (group.mean_spent) json["mean_spent"] = to_json(*group.mean_spent);
        groups.push_back(std::move(json));
    }
    return groups;
}

Json grouped_json(const Comparison& comparison) {
    Json rows = Json::array();
    for (const GroupRow& row : comparison.grouped) {
        rows.push_back({{"group", comparison.groups[row.group].name},
                        {"difference", row.difference},
                        {"permutation",
                         {{"p_value", row.test.p_value},
                          {"p_holm", row.holm},
                          {"least_p", row.test.least_p},
                          {"is_exact", row.test.is_exact}}}});
    }
    return rows;
}

}  // namespace

Json comparison_json(const Comparison& comparison) {
    Json json{{"format", 1},
              {"against", comparison.is_grouped ? comparison.groups[comparison.against_group].name
                                                : comparison.runs[comparison.against].path},
              {"runs", Json::array()}};
    for (const RunSummary& run : comparison.runs) json["runs"].push_back(to_json(run));
    if (comparison.is_grouped) json["groups"] = groups_json(comparison);
    json["comparisons"] =
        comparison.is_grouped ? grouped_json(comparison) : paired_json(comparison);
    json["left_out"] = Json::array();
    for (const LeftOut& left : comparison.left_out) {
        json["left_out"].push_back({{"run", comparison.runs[left.run].path}, {"why", left.why}});
    }
    json["notes"] = comparison.notes;
    return json;
}

}  // namespace dln
