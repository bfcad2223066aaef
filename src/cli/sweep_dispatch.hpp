#pragma once
// Handing out a sweep's trials to groups of ranks. The first rank of a group asks rank 0 of the world, which
// answers while it runs trials of its own: between its trials, and in each turn of its engine's loop.

#include <chrono>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/sweep/trial_source.hpp"

namespace dln {

/// What a group that is free tells.
struct TrialReport {
    std::optional<std::uint64_t> ended;  ///< the trial that it has run to its end, failed or not
    std::optional<double> metric;        ///< of `ended`
    bool is_stopping = false;            ///< it was told to stop: nothing more is to be handed out
};

/// When to look at messages while a trial runs. A look that finds nothing costs a turn of the core: the longer nothing
/// has come, the rarer they are.
class LookPace {
  public:
    using Time = std::chrono::steady_clock::time_point;
    explicit LookPace(Time now) : looked_(now) {}
    [[nodiscard]] bool is_due(Time now) const { return now - looked_ >= interval_; }
    void looked(bool found, Time now);

  private:
    static constexpr std::chrono::milliseconds kShortest{5};
    static constexpr std::chrono::milliseconds kLongest{100};
    Time looked_;
    std::chrono::milliseconds interval_ = kShortest;
};

/// On rank 0 of the world only.
class Dispatcher {
  public:
    /// Both must outlive this. `groups`: with rank 0's own.
    Dispatcher(Communicator& world, TrialSource& source, int groups)
        : world_(world), source_(source), others_left_(groups - 1) {}

    /// What rank 0's own group runs next, as text; empty: nothing more. Waits until there is something, or until
    /// `is_asked_to_stop`.
    [[nodiscard]] std::string take(const TrialReport& report,
                                   const std::function<bool()>& is_asked_to_stop);
    /// A group was told to stop, so all are.
    [[nodiscard]] bool has_stopped() const { return has_stopped_; }

    /// Answers groups that have asked, when it is time to look.
    void serve_in_passing();
    /// Until every group has been told that there is no more.
    void serve_to_the_end();
    /// Of processor time: looking at messages yields the core to whoever wants it.
    [[nodiscard]] double seconds_serving() const {
        return static_cast<double>(serving_) / CLOCKS_PER_SEC;
    }

  private:
    void serve();
    void learn(const TrialReport& report);
    void answer_waiting();
    void tell_to_stop();
    [[nodiscard]] bool is_over() const { return has_stopped_ || source_.is_exhausted(); }

    Communicator& world_;
    TrialSource& source_;
    int others_left_;          // groups that have not been told that there is no more
    std::deque<int> waiting_;  // ranks that have asked and have no answer yet
    bool has_stopped_ = false;
    std::set<int> running_;  // ranks whose groups run a trial, and have not been told to stop
    LookPace pace_{std::chrono::steady_clock::now()};
    std::clock_t serving_ = 0;
};

/// The other side: on the first rank of a group other than rank 0's.
class TrialAsker {
  public:
    explicit TrialAsker(Communicator& world) : world_(world) {}
    /// The next trial from rank 0, as text; empty: nothing more.
    [[nodiscard]] std::string ask(const TrialReport& report);
    /// Looks whether rank 0 says that all are to stop, when it is time to look. While a trial runs.
    void listen_in_passing();
    [[nodiscard]] bool is_told_to_stop() const { return is_told_to_stop_; }

  private:
    Communicator& world_;
    bool is_told_to_stop_ = false;
    LookPace pace_{std::chrono::steady_clock::now()};
};

/// Waits until all groups are done. On every rank of the world but 0.
void wait_for_the_end(Communicator& world);

/// The trial that such a text means. Pre: it is not empty.
[[nodiscard]] Trial trial_of(const std::string& text, const Trials& trials);

}  // namespace dln
