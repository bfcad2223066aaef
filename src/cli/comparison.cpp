#include "cli/comparison.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

std::string data_text(const TestSummary& test) {
    return fmt::format("{} examples{}", test.examples,
                       test.data_sha256.empty()
                           ? std::string()
                           : fmt::format(" (sha256 {:.12})", printable(test.data_sha256, 12)));
}

bool is_other_data(const TestSummary& a, const TestSummary& b) {
    if (a.examples != b.examples) return true;
    return !a.data_sha256.empty() && !b.data_sha256.empty() && a.data_sha256 != b.data_sha256;
}

void check_same_data(const std::vector<RunSummary>& runs) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (!runs[i].test || !runs[j].test) continue;
            if (!is_other_data(*runs[i].test, *runs[j].test)) continue;
            throw UsageError(fmt::format(
                "{} and {} were tested on different data: {} and {}. Expected runs with the same "
                "test split, whose accuracies mean the same; compare those of one split at a time.",
                printable(runs[j].path), printable(runs[i].path), data_text(*runs[j].test),
                data_text(*runs[i].test)));
        }
    }
}

// Why a run has no accuracy; empty when it has one.
std::string why_no_accuracy(const RunSummary& run) {
    if (run.state == RunState::out_of_budget) return "stopped by its budget";
    if (run.state == RunState::unfinished) return "unfinished";
    if (!run.test) return "its job has no test split";
    if (run.test->measured == 0) return "none of its test examples could be measured";
    if (!run.test->right) return "its job measures no accuracy";
    return {};
}

std::string why_not_paired(const RunSummary& run) {
    if (std::string why = why_no_accuracy(run); !why.empty()) return why;
    if (!run.test->right_by_example.empty() && !run.test->data_sha256.empty()) return {};
    return "its result.json, by an older dln, does not tell which examples were right; remove it "
           "and give the job's dln train command again, which evaluates test again";
}

void add_paired(Comparison& comparison) {
    const RunSummary& base = comparison.runs[comparison.against];
    const std::string why_none = why_not_paired(base);
    if (!why_none.empty()) comparison.left_out.push_back({comparison.against, why_none});
    for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
        if (i == comparison.against) continue;
        const std::string why = why_not_paired(comparison.runs[i]);
        if (!why.empty()) {
            comparison.left_out.push_back({i, why});
        } else if (why_none.empty()) {
            const std::vector<bool>& first = base.test->right_by_example;
            const std::vector<bool>& second = comparison.runs[i].test->right_by_example;
            comparison.paired.push_back({.run = i,
                                         .bootstrap = paired_bootstrap(first, second),
                                         .mcnemar = mcnemar(first, second)});
        }
    }
    std::vector<double> bootstrap;
    std::vector<double> exact;
    for (const PairedRow& row : comparison.paired) {
        bootstrap.push_back(row.bootstrap.p_value);
        exact.push_back(row.mcnemar.p_value);
    }
    const std::vector<double> bootstrap_holm = holm_adjusted(bootstrap);
    const std::vector<double> exact_holm = holm_adjusted(exact);
    for (std::size_t i = 0; i < comparison.paired.size(); ++i) {
        comparison.paired[i].bootstrap_p = {bootstrap[i], bootstrap_holm[i]};
        comparison.paired[i].mcnemar_p = {exact[i], exact_holm[i]};
    }
}

// ---- groups ------------------------------------------------------------------------------------

std::size_t group_of(std::vector<Group>& groups, const std::string& name) {
    const auto found = std::ranges::find(groups, name, &Group::name);
    if (found != groups.end()) return static_cast<std::size_t>(found - groups.begin());
    groups.push_back({.name = name});
    return groups.size() - 1;
}

void summarise(Group& group, const std::vector<RunSummary>& runs) {
    std::vector<double> accuracies;
    std::vector<double> likelihoods;
    Spending sum;
    bool is_spent_known = true;
    for (const std::size_t i : group.runs) {
        accuracies.push_back(runs[i].test->accuracy());
        if (runs[i].test->log_likelihood) likelihoods.push_back(*runs[i].test->log_likelihood);
        is_spent_known = is_spent_known && runs[i].spent.has_value();
        sum += runs[i].spent.value_or(Spending{});
    }
    if (group.runs.empty()) return;
    group.accuracy = spread_of(accuracies);
    if (likelihoods.size() == accuracies.size()) group.log_likelihood = spread_of(likelihoods);
    if (!is_spent_known) return;
    const auto n = static_cast<std::int64_t>(group.runs.size());
    group.mean_spent = Spending{.requests = sum.requests / n,
                                .prompt_tokens = sum.prompt_tokens / n,
                                .generated_tokens = sum.generated_tokens / n,
                                .discarded_tokens = sum.discarded_tokens / n,
                                .seconds = sum.seconds / static_cast<double>(n)};
}

std::vector<std::int64_t> right_answers(const Group& group, const std::vector<RunSummary>& runs) {
    std::vector<std::int64_t> right;
    for (const std::size_t i : group.runs) right.push_back(*runs[i].test->right);
    return right;
}

// Fields in which two jobs differ beside those that one method's runs may have different.
std::vector<std::string> differences(const RunSummary& a, const RunSummary& b) {
    using nlohmann::json;
    const auto fields = [](const RunSummary& run) {
        json job = json::parse(run.job_json);
        for (const char* name :
             {"name", "seed", "run_dir", "keep", "budget", "backend", "backward_backend"}) {
            job.erase(name);
        }
        return job.flatten();
    };
    const json first = fields(a);
    const json second = fields(b);
    std::vector<std::string> found;
    for (const auto& [mine, other] : {std::pair(&first, &second), std::pair(&second, &first)}) {
        for (const auto& [place, value] : mine->items()) {
            if (place.starts_with("/data/") && place.ends_with("/path")) continue;
            if (other->contains(place) && (*other)[place] == value) continue;
            if (std::ranges::find(found, place) == found.end()) found.push_back(place);
        }
    }
    if (a.model != b.model) found.emplace_back("the model");
    if (a.backward_model != b.backward_model) found.emplace_back("the backward model");
    return found;
}

// What makes a group's spread mean something else than how one method differs from seed to seed.
void note_mixture(const Group& group, Comparison& comparison) {
    for (std::size_t i = 1; i < group.runs.size(); ++i) {
        const RunSummary& run = comparison.runs[group.runs[i]];
        const RunSummary& first = comparison.runs[group.runs[0]];
        std::vector<std::string> found = differences(first, run);
        if (!found.empty()) {
            const std::size_t all = found.size();
            found.resize(std::min<std::size_t>(all, 3));
            comparison.notes.push_back(
                fmt::format("{} and {} of group {} differ in more than the seed: {}{}.",
                            printable(first.path), printable(run.path), printable(group.name),
                            fmt::join(found, ", "), all > 3 ? ", ..." : ""));
        }
        for (std::size_t j = 0; j < i; ++j) {
            const RunSummary& earlier = comparison.runs[group.runs[j]];
            if (earlier.job_hash != run.job_hash || earlier.model != run.model ||
                earlier.backward_model != run.backward_model) {
                continue;
            }
            comparison.notes.push_back(
                fmt::format("{} and {} of group {} are the same job with the same seed, no two "
                            "independent runs.",
                            printable(earlier.path), printable(run.path), printable(group.name)));
        }
    }
}

void add_groups(Comparison& comparison) {
    for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
        const std::size_t group = group_of(comparison.groups, comparison.runs[i].name);
        if (i == comparison.against) comparison.against_group = group;
        const std::string why = why_no_accuracy(comparison.runs[i]);
        if (why.empty()) {
            comparison.groups[group].runs.push_back(i);
        } else {
            comparison.left_out.push_back({i, why});
        }
    }
    for (Group& group : comparison.groups) {
        summarise(group, comparison.runs);
        note_mixture(group, comparison);
    }
    const Group& base = comparison.groups[comparison.against_group];
    std::vector<double> p_values;
    for (std::size_t g = 0; g < comparison.groups.size(); ++g) {
        const Group& group = comparison.groups[g];
        if (g == comparison.against_group || !group.accuracy || !base.accuracy) continue;
        const PermutationTest test = permutation_test(right_answers(base, comparison.runs),
                                                      right_answers(group, comparison.runs));
        p_values.push_back(test.p_value);
        comparison.grouped.push_back(
            {.group = g, .difference = group.accuracy->mean - base.accuracy->mean, .test = test});
    }
    const std::vector<double> adjusted = holm_adjusted(p_values);
    for (std::size_t i = 0; i < adjusted.size(); ++i) comparison.grouped[i].holm = adjusted[i];
}

void note_failures(Comparison& comparison) {
    for (const RunSummary& run : comparison.runs) {
        if (!run.test) continue;
        const TestSummary& test = *run.test;
        if (test.measured && *test.measured > 0 && *test.measured < test.examples) {
            comparison.notes.push_back(
                fmt::format("{}: {} of {} test examples could not be measured and count as wrong.",
                            printable(run.path), test.examples - *test.measured, test.examples));
        }
        if (test.data_sha256.empty()) {
            comparison.notes.push_back(
                fmt::format("{}: its result.json, by an older dln, does not tell which test data "
                            "it is of.",
                            printable(run.path)));
        }
    }
}

}  // namespace

Comparison compare_runs(std::vector<RunSummary> runs, std::size_t against, bool by_group) {
    DLN_ASSERT(runs.size() > 1 && against < runs.size(), "run {} of {}", against, runs.size());
    check_same_data(runs);
    Comparison comparison{.runs = std::move(runs), .against = against, .is_grouped = by_group};
    note_failures(comparison);
    if (by_group) {
        add_groups(comparison);
    } else {
        add_paired(comparison);
    }
    return comparison;
}

}  // namespace dln
