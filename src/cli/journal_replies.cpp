#include "cli/journal_replies.hpp"

#include <filesystem>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"

namespace dln {
namespace {

// A kill loses nothing that was written; only a machine that goes down loses what is younger than this.
constexpr auto kSyncEvery = std::chrono::seconds(5);

std::string refused_path(const std::string& path) { return "refusal of " + path; }

}  // namespace

JournalReplies::JournalReplies(const std::string& run_dir, std::shared_ptr<Journal> journal)
    : run_(run_dir), journal_(std::move(journal)) {}

JournalReplies::JournalReplies(const std::string& run_dir, int rank)
    : JournalReplies(run_dir,
                     std::make_shared<Journal>(
                         Journal::read_write(RunDirectory(run_dir).journal_path(), rank))) {}

std::shared_ptr<JournalReplies> JournalReplies::of_replayed(const std::string& run_dir) {
    return std::make_shared<JournalReplies>(
        run_dir,
        std::make_shared<Journal>(Journal::read_only(RunDirectory(run_dir).journal_path())));
}

std::optional<std::string> JournalReplies::find(const std::string& model,
                                                const std::string& path,
                                                const std::string& body) {
    return journal_->find({.model = model, .path = path, .body = body});
}

void JournalReplies::keep(const std::string& model,
                          const std::string& path,
                          const std::string& body,
                          const std::string& reply) {
    has_begun_ = has_begun_ || run_.holds_run();
    if (!(has_begun_ || keeps_before_run_) || !journal_->takes_replies()) return;
    try {
        if (!has_begun_) std::filesystem::create_directories(run_.journal_path());
        journal_->put({.model = model, .path = path, .body = body}, reply);
        sync_now_and_then();
    } catch (const std::exception& error) {
        spdlog::warn("the journal takes no more replies, a restart will pay for them again: {}",
                     error.what());
    }
}

std::optional<RefusedCall> JournalReplies::find_refused(const std::string& model,
                                                        const std::string& path,
                                                        const std::string& body) {
    const auto held = find(model, refused_path(path), body);
    if (!held) return std::nullopt;
    const auto json = nlohmann::json::parse(*held, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    return RefusedCall{.status = json.value("status", 0),
                       .body = json.value("body", ""),
                       .reason = json.value("reason", "")};
}

void JournalReplies::keep_refused(const std::string& model,
                                  const std::string& path,
                                  const std::string& body,
                                  const RefusedCall& refused) {
    const nlohmann::ordered_json json{
        {"status", refused.status}, {"reason", refused.reason}, {"body", refused.body}};
    keep(model, refused_path(path), body,
         json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void JournalReplies::sync_now_and_then() {
    const auto now = std::chrono::steady_clock::now();
    if (now - synced_ < kSyncEvery) return;
    journal_->sync();
    synced_ = now;
}

}  // namespace dln
