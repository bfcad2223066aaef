#include "llm/embedded/model_cache.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

// Held while a file is made; released by the kernel when the process ends.
class FileLock {
  public:
    FileLock(const std::string& path, const std::string& remedy)
        : descriptor_(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) {
        if (descriptor_ < 0) {
            throw BackendError(
                fmt::format("{}: {}: the model cache cannot hold the converted model. {}", path,
                            std::strerror(errno), remedy));
        }
        while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
        }
    }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() { ::close(descriptor_); }

  private:
    int descriptor_;
};

bool sync_file(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool synced = ::fsync(descriptor) == 0;
    return (::close(descriptor) == 0) && synced;
}

// What a killed process left of this file; nobody else makes it while the lock is held.
void remove_temporaries(const fs::path& file) {
    const std::string begin = file.filename().string() + ".tmp-";
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(file.parent_path(), ignored)) {
        if (entry.path().filename().string().starts_with(begin)) fs::remove(entry.path(), ignored);
    }
}

void make(const CachedFile& file, const std::string& path) {
    spdlog::info("making {} (once)", path);
    remove_temporaries(path);
    const std::string temporary = fmt::format("{}.tmp-{}", path, ::getpid());
    try {
        file.make(temporary);
        if (!sync_file(temporary) || ::rename(temporary.c_str(), path.c_str()) != 0) {
            throw BackendError(fmt::format("{}: {}. {}", path, std::strerror(errno), file.remedy));
        }
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
}

}  // namespace

std::string find_or_make(const CachedFile& file) {
    const fs::path directory = model_cache_directory();
    std::error_code ignored;
    fs::create_directories(directory, ignored);
    std::string path = (directory / file.name).string();
    if (file.is_usable(path)) return path;
    const FileLock lock((directory / ".convert.lock").string(), file.remedy);
    if (!file.is_usable(path)) make(file, path);
    return path;
}

}  // namespace dln
