#pragma once
// The decisions of an adaptive sweep, as a log that replays them: which work was taken and what was observed, in
// that order. What the log says was taken must be what the search decides again. Rank 0 only.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dln/store/sealed_log.hpp"
#include "dln/sweep/adaptive_search.hpp"
#include "dln/sweep/sweep_directory.hpp"

namespace dln {

/// What a configuration was last compared by.
struct Observation {
    std::int64_t steps = 0;        ///< 0 without halving
    std::optional<double> metric;  ///< mean of the seeds; none: one failed
};

class Decisions {
  public:
    /// Replays the log of the sweep; touches nothing. Throws UsageError when the log contradicts what the search
    /// decides: it is another sweep's, or was written by another version of the program. With TPE, whose decisions
    /// take time, only take() finds that.
    Decisions(SweepSpec spec, const SweepDirectory& directory);

    /// Replays again as the only process that may write. Throws UsageError as above, or that says who holds the lock.
    void take();

    [[nodiscard]] const AdaptiveSearch& search() const { return *search_; }
    /// Taken and not observed, in the order in which they were taken.
    [[nodiscard]] const std::vector<SearchWork>& under_way() const { return under_way_; }
    /// All that was taken, in order.
    [[nodiscard]] const std::vector<SearchWork>& taken() const { return taken_; }
    /// By configuration, the last one of each that has any.
    [[nodiscard]] const std::map<std::uint64_t, Observation>& observed() const { return observed_; }
    /// Where the log is damaged; what came behind is not known any more, and is decided anew. Empty: nowhere.
    [[nodiscard]] const std::string& fault() const { return fault_; }

    /// As AdaptiveSearch's, into the log too. Pre: take().
    [[nodiscard]] std::optional<SearchWork> next();
    void observe(const SearchWork& work, std::optional<double> metric);
    void keep_alive() { log_.keep_alive(); }

  private:
    void replay(const SealedLog::Content& content, bool decides);
    void replay_line(const std::string& line, std::size_t number);
    [[nodiscard]] SearchWork begin(SearchWork work);
    void end(const HalvingWork& place, std::optional<double> metric);

    SweepSpec spec_;
    std::string lock_path_;
    SealedLog log_;
    std::unique_ptr<AdaptiveSearch> search_;
    bool decides_ = false;  ///< the search decides on what is replayed too
    std::vector<SearchWork> under_way_;
    std::vector<SearchWork> taken_;
    std::map<std::uint64_t, Observation> observed_;
    std::string fault_;
};

}  // namespace dln
