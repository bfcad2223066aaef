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
    throw UsageError(fmt::format(
        "run_dir {} is being written by process {} on host {}{} (last sign of life {} s ago). Wait "
        "for "
        "it to end or give this job another run_dir. A process that was killed on another host "
        "counts "
        "as dead after {} s; if you know that it is gone, remove {}",
        std::filesystem::path(path).parent_path().string(), holder.pid, holder.host, job,
        silence_of(path).count(), std::chrono::seconds(RunLock::kSilence).count(), path));
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

/// Moves a dead holder's lock away. Two starters may do this at once, and the slower one would move
/// the faster one's new lock: what was moved is compared with what was judged, and put back when it
/// differs.
void remove_dead_lock(const std::string& path, const std::string& judged) {
    const std::string aside = fmt::format("{}.tmp-{}-{}", path, host_name(), ::getpid());
    if (std::rename(path.c_str(), aside.c_str()) != 0) {
        return;  // someone was faster
    }
    failpoint("lock.after_move_aside");
    if (read_lock(aside).value_or("") != judged) {
        static_cast<void>(::link(aside.c_str(), path.c_str()));
    }
    ::unlink(aside.c_str());
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

RunLock::RunLock(std::string path)
    : path_(std::move(path)), self_(this_process()), touched_(std::chrono::steady_clock::now()) {
    constexpr int kMostTries = 20;
    for (int tries = 0; !make_lock(path_, self_); ++tries) {
        const std::optional<std::string> text = read_lock(path_);
        if (!text) {
            continue;  // given back just now
        }
        const bool complete = text->ends_with('\n');
        const LockHolder holder = from_text(*text);
        if (complete && !is_dead(holder, self_, path_)) {
            throw_held(holder, path_);
        }
        if (complete || tries >= kMostTries) {
            remove_dead_lock(path_, *text);
        } else {  // its maker is between making and writing it, or died there
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        DLN_ASSERT(tries < 2 * kMostTries, "{}: cannot be taken", path_);
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
    if (now - touched_ < kTouchEvery) {
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
