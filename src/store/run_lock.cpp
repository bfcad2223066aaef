#include "store/run_lock.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/failpoint.hpp"

#include "store/file_descriptor.hpp"
#include "store/process_identity.hpp"

namespace dln {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string to_text(const LockHolder& holder) {
    const nlohmann::ordered_json json{{"host", holder.host},
                                      {"pid", holder.pid},
                                      {"process_start", holder.process_start},
                                      {"boot_id", holder.boot_id},
                                      {"process_namespace", holder.process_namespace},
                                      {"job_id", holder.job_id},
                                      {"restart", holder.restart}};
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

LockHolder from_text(const std::string& text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    LockHolder holder;
    if (!json.is_object()) {
        return holder;
    }
    const auto text_of = [&json](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : "";
    };
    holder.host = text_of("host");
    holder.process_start = text_of("process_start");
    holder.boot_id = text_of("boot_id");
    holder.process_namespace = text_of("process_namespace");
    holder.job_id = text_of("job_id");
    holder.restart = text_of("restart");
    if (const auto pid = json.find("pid"); pid != json.end() && pid->is_number_integer()) {
        holder.pid = pid->get<int>();
    }
    return holder;
}

/// The text of the lock; nullopt when there is none.
std::optional<std::string> read_lock(const std::string& path) {
    try {
        return read_whole_file(path);
    } catch (const Error&) {
        if (!std::filesystem::exists(std::filesystem::symlink_status(path))) {
            return std::nullopt;
        }
        throw;
    }
}

/// How long the lock has not been touched, by the clock of its file system; zero when unknown.
std::chrono::seconds silence_of(const std::string& path) {
    const std::string probe = fmt::format("{}.tmp-{}-{}", path, host_name(), ::getpid());
    struct stat lock {};
    struct stat now {};
    const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return std::chrono::seconds(0);
    }
    const bool known = ::fstat(fd, &now) == 0 && ::stat(path.c_str(), &lock) == 0;
    ::close(fd);
    ::unlink(probe.c_str());
    return std::chrono::seconds(known ? now.st_mtime - lock.st_mtime : 0);
}

bool is_dead(const LockHolder& holder, const LockHolder& self, const std::string& path) {
    if (holder.boot_id == self.boot_id && holder.process_namespace == self.process_namespace) {
        return !process_exists(holder.pid) || process_start(holder.pid) != holder.process_start;
    }
    const bool rebooted = holder.host == self.host && holder.boot_id != self.boot_id;
    const bool requeued =
        !holder.job_id.empty() && holder.job_id == self.job_id && holder.restart != self.restart;
    return rebooted || requeued || silence_of(path) > RunLock::kSilence;
}

[[noreturn]] void throw_held(const LockHolder& holder, const std::string& path) {
    const std::string job =
        holder.job_id.empty() ? "" : fmt::format(", Slurm job {}", holder.job_id);
    const std::string who =
        holder.host.empty() ? "an unknown process: its lock cannot be understood"
                            : fmt::format("process {} on host {}{}", holder.pid, holder.host, job);
    throw UsageError(fmt::format(
        "{} is being written by {} (last sign of life {} s ago). Wait for it to end or choose "
        "another directory. A process that was killed on another host counts as dead after {} s; "
        "if you know that it is gone, remove {}",
        std::filesystem::path(path).parent_path().string(), who, silence_of(path).count(),
        std::chrono::seconds(RunLock::kSilence).count(), path));
}

bool make_lock(const std::string& path, const LockHolder& self) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) {
        return false;
    }
    if (fd < 0) {
        throw_errno(path, "open");
    }
    ::close(fd);
    durable_append(path, to_text(self));
    return true;
}

/// Removes the claim of a starter that died between making it and taking the lock over. Two may do this at
/// once, and the slower one would move the faster one's new claim: what was moved is compared with what was
/// judged, and put back when it differs.
void remove_dead_claim(const std::string& claim, const std::string& judged) {
    const std::string aside = fmt::format("{}-{}-{}", claim, host_name(), ::getpid());
    if (std::rename(claim.c_str(), aside.c_str()) != 0) {
        return;  // someone was faster
    }
    if (read_lock(aside).value_or("") != judged) {
        static_cast<void>(::link(aside.c_str(), claim.c_str()));
    }
    ::unlink(aside.c_str());
}

/// Puts the lock of `self` in the place of a dead holder's, whose text is `judged`; false when another starter
/// is at it or was faster. Only who holds the claim replaces a lock, and the lock is never absent meanwhile:
/// of any number of starters one gets it. `may_be_young`: a claim without content may be just being made.
bool take_over(const std::string& path,
               const std::string& judged,
               const LockHolder& self,
               bool may_be_young) {
    const std::string claim = path + ".tmp-claim";
    if (!make_lock(claim, self)) {
        const std::optional<std::string> text = read_lock(claim);
        const bool is_complete = text && text->ends_with('\n');
        if (is_complete ? is_dead(from_text(*text), self, claim) : text && !may_be_young) {
            remove_dead_claim(claim, *text);
        }
        return false;
    }
    failpoint("lock.after_claim");
    const bool is_same = read_lock(path) == judged;
    if (is_same) {
        durable_write(path, to_text(self));
    }
    ::unlink(claim.c_str());
    return is_same;
}

}  // namespace

LockHolder this_process() {
    return {host_name(),
            ::getpid(),
            process_start(::getpid()),
            boot_id(),
            process_namespace(),
            environment("SLURM_JOB_ID"),
            environment("SLURM_RESTART_COUNT")};
}

bool lock_is_held(const std::string& path) {
    const std::optional<std::string> text = read_lock(path);
    // One without content has no holder yet, or its maker died: only taking it tells.
    return text && text->ends_with('\n') && !is_dead(from_text(*text), this_process(), path);
}

RunLock::RunLock(std::string path, std::chrono::seconds touch_every)
    : path_(std::move(path)),
      touch_every_(touch_every),
      self_(this_process()),
      touched_(std::chrono::steady_clock::now()) {
    constexpr int kYoungTries = 20;
    constexpr int kMostTries = 600;
    for (int tries = 0; !make_lock(path_, self_); ++tries) {
        const std::optional<std::string> text = read_lock(path_);
        if (!text) {
            continue;  // given back just now
        }
        const bool is_complete = text->ends_with('\n');
        const LockHolder holder = from_text(*text);
        if (is_complete && !is_dead(holder, self_, path_)) {
            throw_held(holder, path_);
        }
        // A lock without content: its maker is between making and writing it, or died there.
        const bool may_be_young = tries < kYoungTries;
        if ((is_complete || !may_be_young) && take_over(path_, *text, self_, may_be_young)) {
            return;
        }
        DLN_ASSERT(tries < kMostTries, "{}: cannot be taken", path_);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

RunLock::~RunLock() {
    try {
        if (is_ours()) {
            failpoint("lock.before_remove");
            ::unlink(path_.c_str());
            failpoint("lock.after_remove");
        }
    } catch (
        const std::exception&) {  // unreadable: leave it; it will be recognised as a dead holder's
    }
}

bool RunLock::is_ours() const {
    const std::optional<std::string> text = read_lock(path_);
    return text && from_text(*text) == self_;
}

void RunLock::keep_alive() {
    const auto now = std::chrono::steady_clock::now();
    if (now - touched_ < touch_every_) {
        return;
    }
    if (!is_ours()) {
        throw Error(
            ExitCode::internal_error,
            fmt::format("{}: another process took this run directory over while this one was "
                        "silent: stopping, so that two do not write at once",
                        path_));
    }
    if (::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0) != 0) {
        throw_errno(path_, "utimensat");
    }
    touched_ = now;
}

}  // namespace dln
