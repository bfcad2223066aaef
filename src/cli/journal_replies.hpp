#pragma once
// A run's journal as the place where the HTTP backend of a rank looks replies up.

#include <chrono>
#include <memory>
#include <string>

#include "dln/llm/http.hpp"
#include "dln/store/journal.hpp"
#include "dln/store/run_directory.hpp"

namespace dln {

class JournalReplies : public PaidReplies {
  public:
    /// Reads the journal of the run in `run_dir`, if there is one. Throws as Journal::read_write does.
    JournalReplies(const std::string& run_dir, int rank);
    /// The same of a run that is replayed: nothing is kept.
    static std::shared_ptr<JournalReplies> of_replayed(const std::string& run_dir);
    [[nodiscard]] std::optional<std::string> find(const std::string& model,
                                                  const std::string& path,
                                                  const std::string& body) override;
    /// Keeps nothing before the run has begun: what a probe asks of a server that is then refused must
    /// leave no run directory. A disk that refuses is warned of once; the run goes on.
    void keep(const std::string& model,
              const std::string& path,
              const std::string& body,
              const std::string& reply) override;

    [[nodiscard]] std::optional<RefusedCall> find_refused(const std::string& model,
                                                          const std::string& path,
                                                          const std::string& body) override;
    void keep_refused(const std::string& model,
                      const std::string& path,
                      const std::string& body,
                      const RefusedCall& refused) override;
    [[nodiscard]] const JournalCounts& counts() const noexcept { return journal_.counts(); }

  private:
    JournalReplies(RunDirectory run, Journal journal);
    void sync_now_and_then();

    RunDirectory run_;
    Journal journal_;
    bool has_begun_ = false;
    std::chrono::steady_clock::time_point synced_ = std::chrono::steady_clock::now();
};

}  // namespace dln
