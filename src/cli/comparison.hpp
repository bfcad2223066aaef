#pragma once
// What a comparison of runs comes to: paired tests against one of them, or groups of runs against one of
// the groups. Pure; rank 0 only.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "dln/report/comparison.hpp"
#include "dln/train/run_summary.hpp"

namespace dln {

/// A p-value, and the same adjusted for all comparisons of the table (holm_adjusted).
struct AdjustedP {
    double raw = 1.0;
    double holm = 1.0;
};

/// A run against the baseline on the same examples; positive differences favour the run.
struct PairedRow {
    std::size_t run = 0;
    PairedBootstrap bootstrap;
    PairedTest mcnemar;  ///< first: the baseline
    AdjustedP bootstrap_p;
    AdjustedP mcnemar_p;
};

/// A run that a test or a group leaves out.
struct LeftOut {
    std::size_t run = 0;
    std::string why;
};

/// The runs whose jobs have the same name.
struct Group {
    std::string name;
    std::vector<std::size_t> runs;  ///< those with an accuracy; maybe none
    std::optional<Spread> accuracy;
    std::optional<Spread> log_likelihood;  ///< only when all of them have one
    std::optional<Spending> mean_spent;    ///< only when it is known of all of them
};

/// A group against the baseline's.
struct GroupRow {
    std::size_t group = 0;
    double difference = 0.0;  ///< of mean accuracies
    PermutationTest test;
    double holm = 1.0;
};

struct Comparison {
    std::vector<RunSummary> runs;
    std::size_t against = 0;  ///< a run
    std::vector<PairedRow> paired;
    bool is_grouped = false;
    std::vector<Group> groups;
    std::size_t against_group = 0;
    std::vector<GroupRow> grouped;
    std::vector<LeftOut> left_out;
    std::vector<std::string> notes;  ///< what a reader must know, one sentence or two each
};

/// Throws UsageError naming both when two of the runs were tested on different data. With `by_group` groups
/// are compared and not runs: examples that several runs share would be counted once for each run. Pre: at
/// least two runs, `against` is one of them.
[[nodiscard]] Comparison compare_runs(std::vector<RunSummary> runs,
                                      std::size_t against,
                                      bool by_group);

}  // namespace dln
