#include "dln/data/splits.hpp"

#include <map>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

/// Indices of the first example with each input.
std::vector<std::size_t> first_occurrences(const Dataset& examples) {
    std::unordered_set<std::string_view> seen;
    seen.reserve(examples.size());
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < examples.size(); ++i) {
        if (seen.insert(examples[i].input).second) {
            result.push_back(i);
        }
    }
    return result;
}

std::size_t total(const std::vector<PartSize>& parts) {
    std::size_t sum = 0;
    for (const auto& part : parts) {
        if (__builtin_add_overflow(sum, part.size, &sum)) {
            throw UsageError("the sizes of the parts add up to more than there can be");
        }
    }
    return sum;
}

/// How many examples of each target each part still takes: wanted[target][part].
using Wanted = std::map<std::string_view, std::vector<std::size_t>>;

/// Equal shares; what does not divide goes to the targets in turn, part after part.
Wanted equal_shares(const std::map<std::string_view, std::size_t>& available,
                    const std::vector<PartSize>& parts) {
    Wanted wanted;
    for (const auto& entry : available) {
        wanted[entry.first].resize(parts.size());
    }
    auto next = wanted.begin();
    for (std::size_t p = 0; p < parts.size(); ++p) {
        for (auto& entry : wanted) {
            entry.second[p] = parts[p].size / wanted.size();
        }
        for (auto rest = parts[p].size % wanted.size(); rest > 0; --rest) {
            ++next->second[p];
            if (++next == wanted.end()) {
                next = wanted.begin();
            }
        }
    }
    for (const auto& [target, shares] : wanted) {
        std::size_t needed = 0;
        for (const auto share : shares) {
            needed += share;
        }
        if (needed > available.at(target)) {
            throw UsageError(fmt::format(
                "balanced parts need {} examples with target \"{}\", there are {} with an "
                "input of their own; ask for smaller parts",
                needed, printable(target, 60), available.at(target)));
        }
    }
    return wanted;
}

/// Without balance all examples count as having the same target.
std::string_view group_of(const Example& example, bool balanced) {
    return balanced ? example.target : std::string_view();
}

}  // namespace

SplitResult split_dataset(const Dataset& examples, const SplitOptions& options) {
    const auto usable = first_occurrences(examples);
    const auto needed = total(options.parts);
    if (needed > usable.size()) {
        std::string sizes;
        for (const auto& part : options.parts) {
            sizes += fmt::format("{}--{} {}", sizes.empty() ? "" : ", ", part.name, part.size);
        }
        throw UsageError(
            fmt::format("the parts ({}) need {} examples together, there are {} with an input of "
                        "their own; ask "
                        "for smaller parts. Without these options the sizes are 200, 100 and 400",
                        sizes, needed, usable.size()));
    }
    SplitResult result;
    result.repeated = examples.size() - usable.size();
    for (const auto& part : options.parts) {
        result.parts.push_back({.name = part.name, .examples = {}});
    }
    if (needed == 0) {
        return result;
    }
    std::map<std::string_view, std::size_t> available;
    for (const auto index : usable) {
        ++available[group_of(examples[index], options.balanced)];
    }
    auto wanted = equal_shares(available, options.parts);
    CounterRng rng({.seed = options.seed, .role = RandomRole::data_split});
    for (const auto place : rng.permutation(usable.size())) {
        const auto example = examples[usable[place]];
        auto& shares = wanted.at(group_of(example, options.balanced));
        for (std::size_t p = 0; p < shares.size(); ++p) {
            if (shares[p] > 0) {
                --shares[p];
                result.parts[p].examples.add_from(examples, usable[place]);
                break;
            }
        }
    }
    return result;
}

}  // namespace dln
