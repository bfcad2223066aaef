#include "dln/sweep/space.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/sweep/halving.hpp"
#include "dln/text/utf8.hpp"

#include "sweep/sobol.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

Json number_of(const SweepDimension& dimension, double value) {
    const double inside = std::clamp(value, *dimension.min, *dimension.max);
    return dimension.is_int ? Json(static_cast<std::int64_t>(inside)) : Json(inside);
}

// Even over [low, high] or its logarithm; exact at both ends.
double between(double low, double high, double place, bool log) {
    if (place <= 0.0) return low;
    if (place >= 1.0) return high;
    if (!log) return low + place * (high - low);
    return std::exp(std::log(low) + place * (std::log(high) - std::log(low)));
}

std::vector<double> places_of(const SweepSpec& spec, std::uint64_t configuration) {
    if (spec.method == SweepMethod::sobol) {
        return sobol_point(spec.space.size(), configuration, spec.seed);
    }
    std::vector<double> places;
    for (std::size_t d = 0; d < spec.space.size(); ++d) {
        CounterRng rng(
            {.seed = spec.seed, .step = configuration, .layer = d, .role = RandomRole::sweep});
        places.push_back(rng.uniform());
    }
    return places;
}

[[noreturn]] void fail_too_many(const SweepSpec& spec) {
    throw UsageError(fmt::format(
        "{}: /space: the grid has more than {} configurations. Expected fewer values, or the "
        "method \"random\" or \"sobol\" with as many \"configurations\" as you can pay for.",
        printable(spec.path), kMostTrials));
}

// Both are at most kMostTrials, so that neither operation overflows.
std::uint64_t checked(const SweepSpec& spec, std::uint64_t count) {
    if (count > kMostTrials) fail_too_many(spec);
    return count;
}

}  // namespace

Json value_at(const SweepDimension& dimension, double place) {
    if (!dimension.values.empty()) {
        const auto count = static_cast<double>(dimension.values.size());
        const auto entry = static_cast<std::size_t>(place * count);
        return dimension.values[std::min(entry, dimension.values.size() - 1)];
    }
    // Each whole number n has the part of the range from n to n + 1.
    const double end = dimension.is_int ? *dimension.max + 1.0 : *dimension.max;
    const double value = between(*dimension.min, end, place, dimension.log);
    return number_of(dimension, dimension.is_int ? std::floor(value) : value);
}

std::vector<Json> grid_values(const SweepDimension& dimension) {
    if (!dimension.values.empty()) return dimension.values;
    const double min = *dimension.min;
    const double max = *dimension.max;
    std::vector<Json> values;
    const auto count = dimension.grid ? *dimension.grid : static_cast<std::size_t>(max - min) + 1;
    for (std::size_t k = 0; k < count; ++k) {
        const double place =
            count == 1 ? 0.0 : static_cast<double>(k) / static_cast<double>(count - 1);
        const double value =
            dimension.grid ? between(min, max, place, dimension.log) : min + static_cast<double>(k);
        const Json entry = number_of(dimension, dimension.is_int ? std::round(value) : value);
        if (values.empty() || values.back() != entry) values.push_back(entry);
    }
    return values;
}

SearchSpace::SearchSpace(const SweepSpec& spec) : spec_(spec), size_(spec.configurations) {
    if (spec_.method == SweepMethod::grid) build_grid();
    if (spec_.method == SweepMethod::hyperband) {
        size_ = 0;
        for (const HalvingBracket& bracket : halving_brackets(spec_)) {
            size_ += bracket.configurations;
        }
    }
}

bool SearchSpace::is_active_with(std::size_t child, const Json& value) const {
    const auto& when = spec_.space[child].when;
    return !when || std::ranges::find(when->values, value) != when->values.end();
}

// From the last dimension to the first: conditions only name dimensions further up.
void SearchSpace::build_grid() {
    nodes_.resize(spec_.space.size());
    for (std::size_t d = spec_.space.size(); d-- > 0;) {
        const SweepDimension& dimension = spec_.space[d];
        const bool is_long = dimension.values.empty() && !dimension.grid;
        if (is_long && *dimension.max - *dimension.min >= static_cast<double>(kMostTrials)) {
            fail_too_many(spec_);
        }
        Node& node = nodes_[d];
        node.values = grid_values(dimension);
        for (const Json& value : node.values) {
            std::uint64_t weight = 1;
            for (const std::size_t child : node.children) {
                if (is_active_with(child, value))
                    weight = checked(spec_, weight * nodes_[child].size);
            }
            node.weights.push_back(weight);
            node.size = checked(spec_, node.size + weight);
        }
        if (!dimension.when) {
            roots_.push_back(d);
            continue;
        }
        const auto parent =
            std::ranges::find(spec_.space, dimension.when->pointer, &SweepDimension::pointer);
        DLN_ASSERT(parent != spec_.space.end(), "{} depends on nothing", dimension.pointer);
        nodes_[static_cast<std::size_t>(parent - spec_.space.begin())].children.push_back(d);
    }
    size_ = 1;
    for (const std::size_t root : roots_) size_ = checked(spec_, size_ * nodes_[root].size);
}

// `nodes` are from the last dimension to the first, and the last one changes fastest.
void SearchSpace::decode_all(const std::vector<std::size_t>& nodes,
                             const Json* parent_value,
                             std::uint64_t i,
                             std::vector<const Json*>& chosen) const {
    for (const std::size_t node : nodes) {
        if (parent_value != nullptr && !is_active_with(node, *parent_value)) continue;
        decode(node, i % nodes_[node].size, chosen);
        i /= nodes_[node].size;
    }
}

void SearchSpace::decode(std::size_t node,
                         std::uint64_t i,
                         std::vector<const Json*>& chosen) const {
    const Node& here = nodes_[node];
    std::size_t v = 0;
    while (i >= here.weights[v]) i -= here.weights[v++];
    chosen[node] = &here.values[v];
    decode_all(here.children, chosen[node], i, chosen);
}

Configuration SearchSpace::at(const std::vector<double>& places) const {
    Configuration drawn;
    for (std::size_t d = 0; d < spec_.space.size(); ++d) {
        const SweepDimension& dimension = spec_.space[d];
        if (dimension.when) {
            const auto other = std::ranges::find(drawn, dimension.when->pointer, &Setting::pointer);
            if (other == drawn.end() || !is_active_with(d, other->value)) continue;
        }
        drawn.push_back({dimension.pointer, value_at(dimension, places[d])});
    }
    return drawn;
}

Configuration SearchSpace::configuration(std::uint64_t i) const {
    DLN_ASSERT(i < size_, "configuration {} of {}", i, size_);
    if (spec_.method != SweepMethod::grid) return at(places_of(spec_, i));
    std::vector<const Json*> chosen(nodes_.size(), nullptr);
    decode_all(roots_, nullptr, i, chosen);
    Configuration configuration;
    for (std::size_t d = 0; d < chosen.size(); ++d) {
        if (chosen[d] != nullptr) configuration.push_back({spec_.space[d].pointer, *chosen[d]});
    }
    return configuration;
}

}  // namespace dln
