#pragma once
// A run's journal, or that of a sweep, as the place where the HTTP backend of a rank looks replies up.

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
    /// The run's replies go into `journal`, which others use too.
    JournalReplies(const std::string& run_dir, std::shared_ptr<Journal> journal);
    /// The same of a run that is replayed: nothing is kept.
    static std::shared_ptr<JournalReplies> of_replayed(const std::string& run_dir);
    [[nodiscard]] std::optional<std::string> find(const std::string& model,
                                                  const std::string& path,
                                                  const std::string& body) override;
    /// Keeps nothing before the run has begun, unless told otherwise: what a probe asks of a server that is then
    /// refused must leave no run directory. A disk that refuses is warned of once; the run goes on.
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
    /// True: from now on keeps replies whether or not the run has begun. Embedding all inputs is paid for before.
    void keep_before_run(bool wanted) noexcept { keeps_before_run_ = wanted; }
    [[nodiscard]] const JournalCounts& counts() const noexcept { return journal_->counts(); }

  private:
    void sync_now_and_then();

    RunDirectory run_;
    std::shared_ptr<Journal> journal_;
    bool has_begun_ = false;
    bool keeps_before_run_ = false;
    std::chrono::steady_clock::time_point synced_ = std::chrono::steady_clock::now();
};

/// The same of a model beside the forward model, which has a backend of its own: its replies stay apart from those of
/// the forward model, whose servers may call theirs by the same name.
class RepliesApart : public PaidReplies {
  public:
    /// `role` tells it from others: "backward", "embedding".
    RepliesApart(std::shared_ptr<PaidReplies> replies, std::string role)
        : replies_(std::move(replies)), role_(std::move(role)) {}
    [[nodiscard]] std::optional<std::string> find(const std::string& model,
                                                  const std::string& path,
                                                  const std::string& body) override {
        return replies_->find(apart(model), path, body);
    }
    void keep(const std::string& model,
              const std::string& path,
              const std::string& body,
              const std::string& reply) override {
        replies_->keep(apart(model), path, body, reply);
    }
    [[nodiscard]] std::optional<RefusedCall> find_refused(const std::string& model,
                                                          const std::string& path,
                                                          const std::string& body) override {
        return replies_->find_refused(apart(model), path, body);
    }
    void keep_refused(const std::string& model,
                      const std::string& path,
                      const std::string& body,
                      const RefusedCall& refused) override {
        replies_->keep_refused(apart(model), path, body, refused);
    }

  private:
    [[nodiscard]] std::string apart(const std::string& model) const { return role_ + " " + model; }

    std::shared_ptr<PaidReplies> replies_;
    std::string role_;
};

}  // namespace dln
