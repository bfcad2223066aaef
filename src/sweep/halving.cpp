#include "dln/sweep/halving.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"

namespace dln {
namespace {

// Steps of the rungs from `least` on; whatever the factor, the last one has exactly `most`.
std::vector<std::int64_t> rungs(std::int64_t least, std::int64_t most, std::int64_t reduction) {
    DLN_ASSERT(least > 0 && least <= most && reduction > 1, "rungs of {} to {} steps by {}", least,
               most, reduction);
    std::vector<std::int64_t> steps;
    for (std::int64_t s = least; s<most; s = s> most / reduction ? most : s * reduction) {
        steps.push_back(s);
    }
    steps.push_back(most);
    return steps;
}

}  // namespace

std::vector<HalvingBracket> asha_brackets(std::uint64_t configurations,
                                          std::int64_t least,
                                          std::int64_t most,
                                          std::int64_t reduction) {
    return {{.first = 0, .configurations = configurations, .steps = rungs(least, most, reduction)}};
}

std::vector<HalvingBracket> hyperband_brackets(std::int64_t least,
                                               std::int64_t most,
                                               std::int64_t reduction) {
    const std::vector<std::int64_t> all = rungs(least, most, reduction);
    const std::size_t brackets = all.size();  // S + 1
    std::vector<HalvingBracket> made;
    std::uint64_t first = 0;
    std::uint64_t power = 1;
    for (std::size_t s = 1; s < brackets; ++s) power *= static_cast<std::uint64_t>(reduction);
    for (std::size_t s = brackets; s-- > 0; power /= static_cast<std::uint64_t>(reduction)) {
        const std::uint64_t count = (brackets * power + s) / (s + 1);
        made.push_back({.first = first,
                        .configurations = count,
                        .steps = {all.end() - static_cast<std::ptrdiff_t>(s) - 1, all.end()}});
        first += count;
    }
    return made;
}

std::vector<HalvingBracket> halving_brackets(const SweepSpec& spec) {
    const HalvingSpec& halving = spec.halving.value();
    if (spec.method == SweepMethod::hyperband) {
        return hyperband_brackets(halving.least_steps, halving.most_steps, halving.reduction);
    }
    return asha_brackets(spec.configurations, halving.least_steps, halving.most_steps,
                         halving.reduction);
}

Halving::Halving(std::vector<HalvingBracket> brackets, std::int64_t reduction, SweepGoal goal)
    : reduction_(static_cast<std::size_t>(reduction)), goal_(goal) {
    DLN_ASSERT(reduction > 1, "a reduction by {}", reduction);
    for (HalvingBracket& bracket : brackets) {
        const std::size_t count = bracket.steps.size();
        brackets_.push_back({.bracket = std::move(bracket), .rungs = std::vector<Rung>(count)});
    }
}

// Ties go to the configuration that was begun first, those without a metric to the end.
bool Halving::is_better(const Observed& a, const Observed& b) const {
    if (a.metric.has_value() != b.metric.has_value()) return a.metric.has_value();
    if (a.metric && *a.metric != *b.metric) {
        return goal_ == SweepGoal::max ? *a.metric > *b.metric : *a.metric < *b.metric;
    }
    return a.configuration < b.configuration;
}

// The best of a rung that is among its top 1 / reduction, and not promoted yet.
const Halving::Observed* Halving::promotable(const Rung& rung) const {
    const std::size_t top = rung.observed.size() / reduction_;
    for (std::size_t i = 0; i < top; ++i) {
        const Observed& one = rung.observed[i];
        if (one.metric && !one.is_promoted) return &one;
    }
    return nullptr;
}

HalvingWork Halving::work(std::size_t bracket,
                          std::size_t rung,
                          std::uint64_t configuration) const {
    return {.configuration = configuration,
            .bracket = bracket,
            .rung = rung,
            .steps = brackets_[bracket].bracket.steps[rung]};
}

std::optional<HalvingWork> Halving::next() const {
    for (std::size_t b = 0; b < brackets_.size(); ++b) {
        const auto& [bracket, rungs] = brackets_[b];
        for (std::size_t k = rungs.size() - 1; k-- > 0;) {
            if (const Observed* best = promotable(rungs[k])) {
                return work(b, k + 1, best->configuration);
            }
        }
        if (rungs[0].given < bracket.configurations) {
            return work(b, 0, bracket.first + rungs[0].given);
        }
    }
    return std::nullopt;
}

void Halving::give(const HalvingWork& work) {
    DLN_ASSERT(next() == work, "configuration {} in rung {} is not what is next",
               work.configuration, work.rung);
    auto& rungs = brackets_[work.bracket].rungs;
    if (work.rung > 0) {
        std::ranges::find(rungs[work.rung - 1].observed, work.configuration,
                          &Observed::configuration)
            ->is_promoted = true;
    }
    ++rungs[work.rung].given;
    rungs[work.rung].under_way.push_back(work.configuration);
    ++under_way_;
}

void Halving::observe(const HalvingWork& work, std::optional<double> metric) {
    Rung& rung = brackets_.at(work.bracket).rungs.at(work.rung);
    const auto place = std::ranges::find(rung.under_way, work.configuration);
    DLN_ASSERT(place != rung.under_way.end(), "configuration {} in rung {} is not being trained",
               work.configuration, work.rung);
    rung.under_way.erase(place);
    --under_way_;
    if (metric && !std::isfinite(*metric)) metric.reset();
    const Observed one{.configuration = work.configuration, .metric = metric};
    const auto worse = std::ranges::upper_bound(
        rung.observed, one,
        [this](const Observed& a, const Observed& b) { return is_better(a, b); });
    rung.observed.insert(worse, one);
}

bool Halving::is_done() const { return under_way_ == 0 && !next(); }

std::vector<BracketProgress> Halving::progress() const {
    std::vector<BracketProgress> progress;
    for (const auto& [bracket, rungs] : brackets_) {
        BracketProgress& here = progress.emplace_back();
        for (std::size_t k = 0; k < rungs.size(); ++k) {
            here.push_back({.steps = bracket.steps[k],
                            .taken = rungs[k].given,
                            .observed = rungs[k].observed.size(),
                            .promoted = k + 1 < rungs.size() ? rungs[k + 1].given : 0});
        }
    }
    return progress;
}

}  // namespace dln
