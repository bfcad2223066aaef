#pragma once
// Where a sweep's trials come from, one at a time, while it runs. Rank 0 only.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "dln/sweep/trials.hpp"

namespace dln {

class TrialSource {
  public:
    virtual ~TrialSource() = default;
    /// The trial to run next; none: there is none now.
    [[nodiscard]] virtual std::optional<Trial> next() = 0;
    /// Told once of each trial that next() gave and that has ended, finished or failed, but not of one that was
    /// stopped. `metric`: what it came to; none: it failed, or does not report the sweep's metric.
    virtual void ended(std::uint64_t number, std::optional<double> metric) = 0;
    /// No trial will come any more, whatever those that are being run come to.
    [[nodiscard]] virtual bool is_exhausted() const = 0;
    /// Called often while trials run; cheap.
    virtual void keep_alive() {}
};

/// Trials whose numbers are known beforehand.
class ListedTrials : public TrialSource {
  public:
    /// `trials` must outlive this.
    ListedTrials(const Trials& trials, std::deque<std::uint64_t> numbers)
        : trials_(trials), numbers_(std::move(numbers)) {}
    [[nodiscard]] std::optional<Trial> next() override {
        if (numbers_.empty()) return std::nullopt;
        const std::uint64_t number = numbers_.front();
        numbers_.pop_front();
        return trials_.trial(number);
    }
    void ended(std::uint64_t, std::optional<double>) override {}
    [[nodiscard]] bool is_exhausted() const override { return numbers_.empty(); }

  private:
    const Trials& trials_;
    std::deque<std::uint64_t> numbers_;
};

}  // namespace dln
