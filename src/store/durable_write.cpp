#include "dln/store/durable_write.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <span>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/failpoint.hpp"

#include "store/file_descriptor.hpp"
#include "store/process_identity.hpp"

namespace dln {
namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";

/// Removes its file unless told that it was renamed.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
    ~TemporaryFile() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    void release() noexcept { path_.clear(); }

  private:
    std::string path_;
};

/// Whose failpoints a write to `path` passes; empty for files that are not of a run.
std::string_view failpoint_file(const std::string& path) {
    const std::filesystem::path place(path);
    const std::string name = place.filename().string();
    if (name.ends_with(".h5")) return "step";
    if (place.parent_path().filename() == "failures") return "failure";
    if (name.ends_with("server.json")) return "server.json";
    for (const auto& files : {std::span<const std::string_view>(kReplacedFiles),
                              std::span<const std::string_view>(kAppendedFiles)}) {
        const auto found = std::ranges::find(files, name);
        if (found != files.end()) return *found;
    }
    return {};
}

void write_all_or_half(FileDescriptor& file,
                       std::string_view bytes,
                       std::string_view failpoints_of,
                       std::string_view half) {
    if (is_failpoint_due(failpoints_of, half)) {
        file.write_all(bytes.substr(0, bytes.size() / 2));
        kill_at_failpoint();
    }
    file.write_all(bytes);
}

std::string directory_of(const std::string& path) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

/// Whether `name` is "<target>.tmp-<host>-<pid>" and that writer is dead.
bool is_stale_temporary(const std::filesystem::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.rfind(kTemporaryMark);
    const std::size_t dash = name.rfind('-');
    if (mark == std::string::npos || dash < mark + kTemporaryMark.size()) {
        return false;
    }
    const std::size_t host = mark + kTemporaryMark.size();
    pid_t pid = 0;
    const auto [end, error] =
        std::from_chars(name.data() + dash + 1, name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size() || pid <= 0) {
        return false;
    }
    if (name.substr(host, dash - host) == host_name()) {
        return !process_exists(pid) || process_start(pid).empty();
    }
    std::error_code failure;
    const auto age = std::filesystem::file_time_type::clock::now() - entry.last_write_time(failure);
    return !failure && age > std::chrono::hours(1);
}

}  // namespace

void durable_write(const std::string& path, std::string_view bytes) {
    const std::string_view of = failpoint_file(path);
    failpoint(of, "before_open");
    const std::string temporary_path =
        fmt::format("{}{}{}-{}", path, kTemporaryMark, host_name(), ::getpid());
    TemporaryFile temporary(temporary_path);
    FileDescriptor file(temporary.path(), O_WRONLY | O_CREAT | O_TRUNC);
    failpoint(of, "after_open");
    write_all_or_half(file, bytes, of, "half_written");
    failpoint(of, "after_write");
    file.sync();
    failpoint(of, "after_fsync");
    file.close();
    failpoint(of, "after_close");
    if (std::rename(temporary.path().c_str(), path.c_str()) != 0) {
        throw_errno(path, "rename");
    }
    temporary.release();
    failpoint(of, "after_rename");
    sync_directory(directory_of(path));
    failpoint(of, "after_directory_fsync");
}

void durable_append(const std::string& path, std::string_view bytes) {
    const std::string_view of = failpoint_file(path);
    failpoint(of, "before_append");
    FileDescriptor file(path, O_WRONLY | O_CREAT | O_APPEND);
    write_all_or_half(file, bytes, of, "half_appended");
    failpoint(of, "after_append");
    file.sync();
    failpoint(of, "after_append_fsync");
    file.close();
}

std::error_code remove_file(const std::string& path) {
    const std::string_view of = failpoint_file(path);
    std::error_code failure;
    failpoint(of, "before_remove");
    std::filesystem::remove(path, failure);
    failpoint(of, "after_remove");
    return failure;
}

std::string read_whole_file(const std::string& path) {
    return FileDescriptor(path, O_RDONLY).read_all();
}

void make_directories(const std::string& path) {
    std::error_code failure;
    std::filesystem::create_directories(path, failure);
    if (failure) {
        throw Error(ExitCode::internal_error,
                    fmt::format("{}: cannot make the directory: {}", path, failure.message()));
    }
}

void sync_directory(const std::string& directory) {
    FileDescriptor(directory, O_RDONLY | O_DIRECTORY).sync();
}

void remove_stale_temporaries(const std::string& directory) {
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
        if (is_stale_temporary(entry)) {
            std::filesystem::remove(entry.path(), failure);
        }
    }
}

}  // namespace dln
