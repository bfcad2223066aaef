// Comparisons as aligned tables.

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

#include "cli/comparison_report.hpp"

namespace dln {
namespace {

constexpr std::size_t kLongestResult = 36;  // names in the table of results and in that of costs
constexpr std::size_t kLongestPaired = 24;  // and in the table of paired tests

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

std::size_t characters_of(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

// On one line of at most `most` characters; of a longer path the end tells more.
std::string shown(const std::string& name, std::size_t most) {
    std::string safe = printable(name, 1000);
    std::size_t left = characters_of(safe);
    if (left <= most) return safe;
    std::size_t from = 0;
    while (left > most - 3) {
        ++from;
        while (from < safe.size() && !begins_character(safe[from])) ++from;
        --left;
    }
    return "..." + safe.substr(from);
}

std::size_t width_of(const std::vector<std::string>& names) {
    std::size_t width = 5;
    for (const std::string& name : names) {
        width = std::max(width, characters_of(name));  // fmt pads by columns too
    }
    return width;
}

std::vector<std::string> paths(const Comparison& comparison, std::size_t most) {
    std::vector<std::string> names;
    for (const RunSummary& run : comparison.runs) names.push_back(shown(run.path, most));
    return names;
}

std::string hours(double seconds) {
    const double value = seconds / 3600.0;
    return fmt::format("{:.{}f}", value, value < 10.0 ? 3 : 1);
}

std::string figure(const std::optional<double>& value) {
    return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string interval_text(const Interval& interval, const char* sign) {
    return sign[0] == '+' ? fmt::format("{:+.4f} to {:+.4f}", interval.low, interval.high)
                          : fmt::format("{:.4f} to {:.4f}", interval.low, interval.high);
}

// "4", or how far an unfinished run has come.
std::string steps_text(const RunSummary& run) {
    std::string done = run.steps_done ? std::to_string(*run.steps_done) : "?";
    if (run.state == RunState::complete && run.steps_done == run.steps) return done;
    return fmt::format("{} of {}", done, run.steps);
}

const char* state_text(const RunSummary& run) {
    if (run.state == RunState::out_of_budget) return "stopped by its budget";
    if (run.state == RunState::unfinished) return "unfinished";
    if (!run.test) return "no test split";
    if (!run.test->right && !run.test->log_likelihood) return "nothing measured";
    return nullptr;
}

std::string result_table(const Comparison& comparison) {
    const std::vector<std::string> names = paths(comparison, kLongestResult);
    const std::size_t width = width_of(names);
    std::string text = fmt::format("{:<{}} {:>6} {:>10} {:>9} {:>17} {:>15}\n", "run", width,
                                   "seed", "steps", "accuracy", "95 % interval", "log-likelihood");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const RunSummary& run = comparison.runs[i];
        text += fmt::format("{:<{}} {:>6} {:>10}", names[i], width, run.seed, steps_text(run));
        if (const char* state = state_text(run)) {
            text += fmt::format("  {}\n", state);
            continue;
        }
        std::string interval = "-";
        std::optional<double> accuracy;
        if (run.test->right) {
            accuracy = run.test->accuracy();
            interval = interval_text(wilson_interval(static_cast<std::size_t>(*run.test->right),
                                                     static_cast<std::size_t>(run.test->examples)),
                                     "");
        }
        text += fmt::format(" {:>9} {:>17} {:>15}\n", figure(accuracy), interval,
                            figure(run.test->log_likelihood));
    }
    return text;
}

std::string cost_row(const std::string& name,
                     std::size_t width,
                     const std::optional<Spending>& spent) {
    if (!spent) return fmt::format("{:<{}} {:>11}\n", name, width, "unknown");
    return fmt::format("{:<{}} {:>11} {:>14} {:>16} {:>9}\n", name, width, grouped(spent->requests),
                       grouped(spent->prompt_tokens), grouped(spent->output_tokens()),
                       hours(spent->seconds));
}

std::string cost_head(const char* what, std::size_t width) {
    return fmt::format("{:<{}} {:>11} {:>14} {:>16} {:>9}\n", what, width, "requests",
                       "input tokens", "generated tokens", "hours");
}

std::string cost_table(const Comparison& comparison) {
    const std::vector<std::string> names = paths(comparison, kLongestResult);
    const std::size_t width = width_of(names);
    std::string text = cost_head("run", width);
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += cost_row(names[i], width, comparison.runs[i].spent);
    }
    return text;
}

std::string p_text(double p) { return fmt::format("{:.2g}", p); }

std::string family_line(std::size_t comparisons) {
    return fmt::format("{} comparison{} {} made in this table; \"Holm\" is p adjusted for {}.\n",
                       comparisons, comparisons == 1 ? "" : "s", comparisons == 1 ? "was" : "were",
                       comparisons == 1 ? "that one alone" : "all of them");
}

std::string paired_table(const Comparison& comparison) {
    if (comparison.paired.empty()) return {};
    const RunSummary& base = comparison.runs[comparison.against];
    std::vector<std::string> names;
    for (const PairedRow& row : comparison.paired) {
        names.push_back(shown(comparison.runs[row.run].path, kLongestPaired));
    }
    const std::size_t width = width_of(names);
    std::string text = fmt::format("\nPaired with {}, over the same {} examples:\n",
                                   shown(base.path, 50), base.test->examples);
    text += fmt::format("{:<{}} {:>8} {:>18} {:>17} {:>11} {:>17}\n", "", width, "", "",
                        "bootstrap", "only right", "McNemar");
    text += fmt::format("{:<{}} {:>8} {:>18} {:>8} {:>8} {:>5} {:>5} {:>8} {:>8}\n", "run", width,
                        "diff.", "95 % interval", "p", "Holm", "run", "base", "p", "Holm");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const PairedRow& row = comparison.paired[i];
        text += fmt::format(
            "{:<{}} {:>+8.4f} {:>18} {:>8} {:>8} {:>5} {:>5} {:>8} {:>8}\n", names[i], width,
            row.bootstrap.difference, interval_text(row.bootstrap.interval, "+"),
            p_text(row.bootstrap_p.raw), p_text(row.bootstrap_p.holm), row.mcnemar.only_second,
            row.mcnemar.only_first, p_text(row.mcnemar_p.raw), p_text(row.mcnemar_p.holm));
    }
    return text + family_line(names.size());
}

std::string group_table(const Comparison& comparison) {
    std::vector<std::string> names;
    for (const Group& group : comparison.groups) names.push_back(shown(group.name, kLongestPaired));
    const std::size_t width = width_of(names);
    std::string text = fmt::format("\n{:<{}} {:>5} {:>9} {:>10} {:>8} {:>8} {:>15} {:>10}\n",
                                   "group", width, "runs", "accuracy", "deviation", "lowest",
                                   "highest", "log-likelihood", "deviation");
    for (std::size_t g = 0; g < names.size(); ++g) {
        const Group& group = comparison.groups[g];
        text += fmt::format("{:<{}} {:>5}", names[g], width, group.runs.size());
        if (!group.accuracy) {
            text += fmt::format(" {:>9}\n", "-");
            continue;
        }
        std::vector<double> accuracies;
        for (const std::size_t i : group.runs) {
            accuracies.push_back(comparison.runs[i].test->accuracy());
        }
        const auto [lowest, highest] = std::ranges::minmax(accuracies);
        const auto likelihood = group.log_likelihood.value_or(Spread{});
        text += fmt::format(" {:>9.4f} {:>10} {:>8.4f} {:>8.4f} {:>15} {:>10}\n",
                            group.accuracy->mean, figure(group.accuracy->deviation), lowest,
                            highest, group.log_likelihood ? figure(likelihood.mean) : "-",
                            figure(likelihood.deviation));
    }
    text += "\n" + cost_head("mean of a run", std::max<std::size_t>(width, 13));
    for (std::size_t g = 0; g < names.size(); ++g) {
        text +=
            cost_row(names[g], std::max<std::size_t>(width, 13), comparison.groups[g].mean_spent);
    }
    return text;
}

std::string grouped_table(const Comparison& comparison) {
    if (comparison.grouped.empty()) return {};
    std::vector<std::string> names;
    for (const GroupRow& row : comparison.grouped) {
        names.push_back(shown(comparison.groups[row.group].name, kLongestPaired));
    }
    const std::size_t width = width_of(names);
    std::string text = fmt::format("\nAgainst group {}, permutation test over runs:\n",
                                   shown(comparison.groups[comparison.against_group].name, 50));
    text += fmt::format("{:<{}} {:>8} {:>8} {:>8} {:>17}\n", "group", width, "diff.", "p", "Holm",
                        "least p possible");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const GroupRow& row = comparison.grouped[i];
        text +=
            fmt::format("{:<{}} {:>+8.4f} {:>8} {:>8} {:>17}\n", names[i], width, row.difference,
                        p_text(row.test.p_value), p_text(row.holm), p_text(row.test.least_p));
    }
    text += family_line(names.size());
    return text +
           "Deviation is over runs, on these test examples: it does not tell what other "
           "examples would change.\n";
}

// A line for each reason.
std::string left_out_lines(const Comparison& comparison) {
    std::vector<std::string> reasons;
    std::string text;
    for (const LeftOut& left : comparison.left_out) {
        if (!comparison.is_grouped && left.run == comparison.against) {
            text += fmt::format("No paired tests, for the baseline is left out: {}.\n", left.why);
        } else if (std::ranges::find(reasons, left.why) == reasons.end()) {
            reasons.push_back(left.why);
        }
    }
    for (const std::string& why : reasons) {
        std::string names;
        for (const LeftOut& left : comparison.left_out) {
            if (left.why != why || (!comparison.is_grouped && left.run == comparison.against))
                continue;
            names += (names.empty() ? "" : ", ") + printable(comparison.runs[left.run].path);
        }
        text += fmt::format("{}: {}: {}.\n",
                            comparison.is_grouped ? "Not counted in its group" : "Not paired",
                            names, why);
    }
    return text;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
    std::string text;
    for (const RunSummary& run : comparison.runs) {
        if (!run.test) continue;
        text = fmt::format("test: {} examples{}\n\n", run.test->examples,
                           run.test->data_sha256.empty()
                               ? std::string()
                               : ", sha256 " + printable(run.test->data_sha256, 12));
        if (!run.test->data_sha256.empty()) break;
    }
    text += result_table(comparison) + "\n" + cost_table(comparison);
    text += comparison.is_grouped ? group_table(comparison) + grouped_table(comparison)
                                  : paired_table(comparison);
    std::string notes = left_out_lines(comparison);
    for (const std::string& note : comparison.notes) notes += note + "\n";
    return notes.empty() ? text : text + "\n" + notes;
}

}  // namespace dln
