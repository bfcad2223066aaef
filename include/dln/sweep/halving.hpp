#pragma once
// Successive halving without barriers: a configuration gets more steps as soon as it is among the best of those
// that had as many. ASHA: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934,
// Algorithm 2. Hyperband: Li et al., "Hyperband", arXiv 1603.06560, Algorithm 1, its brackets run without barriers
// too. Pure: what is next is a function of what was given out and observed, in that order, so a sweep's journal of
// both replays every decision.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/job/sweep_file.hpp"

namespace dln {

/// A configuration that is to be trained up to `steps` steps.
struct HalvingWork {
    std::uint64_t configuration = 0;
    std::size_t bracket = 0;
    std::size_t rung = 0;
    std::int64_t steps = 0;
    friend bool operator==(const HalvingWork&, const HalvingWork&) = default;
};

/// Configurations that begin together, from number `first` on, and how many steps each rung has.
struct HalvingBracket {
    std::uint64_t first = 0;
    std::uint64_t configurations = 0;
    std::vector<std::int64_t> steps;  ///< by rung, ascending
    friend bool operator==(const HalvingBracket&, const HalvingBracket&) = default;
};

/// One bracket: rungs of `least`, `least` x `reduction`, ... steps, the last of exactly `most`.
/// Pre: 0 < least <= most, reduction > 1.
[[nodiscard]] std::vector<HalvingBracket> asha_brackets(std::uint64_t configurations,
                                                        std::int64_t least,
                                                        std::int64_t most,
                                                        std::int64_t reduction);

/// One pass of Hyperband, from the bracket that halves most to the one that does not. With s the number of
/// halvings of a bracket and S the most of them, it has ceil((S + 1) reduction^s / (s + 1)) configurations.
[[nodiscard]] std::vector<HalvingBracket> hyperband_brackets(std::int64_t least,
                                                             std::int64_t most,
                                                             std::int64_t reduction);

/// Those of a sweep file. Pre: is_halving(spec.method).
[[nodiscard]] std::vector<HalvingBracket> halving_brackets(const SweepSpec& spec);

/// How many configurations a rung has had so far.
struct RungProgress {
    std::int64_t steps = 0;
    std::uint64_t taken = 0;     ///< got so many steps, or are getting them
    std::uint64_t observed = 0;  ///< of those, are compared
    std::uint64_t promoted = 0;  ///< of those, go on to the next rung
    friend bool operator==(const RungProgress&, const RungProgress&) = default;
};
using BracketProgress = std::vector<RungProgress>;  ///< by rung

class Halving {
  public:
    Halving(std::vector<HalvingBracket> brackets, std::int64_t reduction, SweepGoal goal);

    /// The next work: of the first bracket that has any, the highest rung first, the best of it first; else a
    /// configuration that is not begun yet. None: all that is left waits for what is being trained, or all is done.
    [[nodiscard]] std::optional<HalvingWork> next() const;
    /// `work` is being trained. Pre: next() gave it, and nothing was given or observed since.
    void give(const HalvingWork& work);
    /// What `work` came to; none: it failed, or has no number: it counts as the worst. Pre: it was given and not
    /// observed before.
    void observe(const HalvingWork& work, std::optional<double> metric);
    /// Nothing is being trained and nothing is left.
    [[nodiscard]] bool is_done() const;
    [[nodiscard]] std::vector<BracketProgress> progress() const;

  private:
    struct Observed {
        std::uint64_t configuration = 0;
        std::optional<double> metric;
        bool is_promoted = false;
    };
    struct Rung {
        std::uint64_t given = 0;
        std::vector<std::uint64_t> under_way;  ///< configurations
        std::vector<Observed> observed;        ///< best first
    };
    struct State {
        HalvingBracket bracket;
        std::vector<Rung> rungs;
    };
    [[nodiscard]] bool is_better(const Observed& a, const Observed& b) const;
    [[nodiscard]] const Observed* promotable(const Rung& rung) const;
    [[nodiscard]] HalvingWork work(std::size_t bracket,
                                   std::size_t rung,
                                   std::uint64_t configuration) const;

    std::vector<State> brackets_;
    std::size_t reduction_;
    SweepGoal goal_;
    std::size_t under_way_ = 0;
};

}  // namespace dln
