#include "cli/journal_replies.hpp"

#include <spdlog/spdlog.h>

#include "dln/error.hpp"

namespace dln {
namespace {

// A kill loses nothing that was written; only a machine that goes down loses what is younger than this.
constexpr auto kSyncEvery = std::chrono::seconds(5);

}  // namespace

JournalReplies::JournalReplies(const std::string& run_dir, int rank)
    : run_(run_dir), journal_(Journal::read_write(run_.journal_path(), rank)) {}

std::optional<std::string> JournalReplies::find(const std::string& model,
                                                const std::string& path,
                                                const std::string& body) {
    return journal_.find({.model = model, .path = path, .body = body});
}

void JournalReplies::keep(const std::string& model,
                          const std::string& path,
                          const std::string& body,
                          const std::string& reply) {
    has_begun_ = has_begun_ || run_.holds_run();
    if (!has_begun_ || !journal_.takes_replies()) return;
    try {
        journal_.put({.model = model, .path = path, .body = body}, reply);
        sync_now_and_then();
    } catch (const Error& error) {
        spdlog::warn("the journal takes no more replies, a restart will pay for them again: {}",
                     error.what());
    }
}

void JournalReplies::sync_now_and_then() {
    const auto now = std::chrono::steady_clock::now();
    if (now - synced_ < kSyncEvery) return;
    journal_.sync();
    synced_ = now;
}

}  // namespace dln
