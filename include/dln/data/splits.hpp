#pragma once
// One set of examples into several without overlap. Pure: the same set, sizes and seed give the same
// parts on every machine (RandomRole::data_split).

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"

namespace dln {

/// A part that is wanted.
struct PartSize {
    std::string name;
    std::size_t size = 0;
};

/// A part with its examples, in random order.
struct Part {
    std::string name;
    Dataset examples;
};

struct SplitOptions {
    std::vector<PartSize> parts;
    bool balanced = false;  ///< every part has each target equally often, or one more of some
    std::uint64_t seed = 0;
};

struct SplitResult {
    std::vector<Part> parts;   ///< in the order asked for, each of exactly the size asked for
    std::size_t repeated = 0;  ///< examples left out because their input had come before
};

/// Draws `options.parts` out of `examples`. Of examples with the same input only the first is used, so
/// that no input is in two parts, or twice in one. Throws UsageError when there are too few examples,
/// or, balanced, too few with one of the targets.
[[nodiscard]] SplitResult split_dataset(const Dataset& examples, const SplitOptions& options);

}  // namespace dln
