#pragma once
// Few-shot examples chosen for each input by their nearness to it (KATE, arXiv 2101.06804). Pure.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dln {

/// An example that may be shown, and how near it is to an input.
struct Neighbour {
    double nearness = 0.0;  ///< the larger the nearer; finite
    std::uint32_t example = 0;
};

/// The `count` nearest of `neighbours` in the order of the prompt: the nearest last, as KATE has them. Of equally
/// near ones that of the lower index counts as nearer. All of them where there are fewer.
[[nodiscard]] std::vector<std::uint32_t> nearest_last(std::vector<Neighbour> neighbours,
                                                      std::size_t count);

/// The training examples that one input is shown with, first one first, or why nobody can say which.
struct ShownExamples {
    std::vector<std::uint32_t> examples;
    std::string failure;  ///< empty: none
};

/// Of every input that a command asks about. The same on every rank.
struct NearestExamples {
    std::vector<std::vector<ShownExamples>>
        splits;                               ///< [split][example]; empty for one not asked about
    std::vector<ShownExamples> content_free;  ///< of ScoringSpec::content_free_inputs
};

}  // namespace dln
