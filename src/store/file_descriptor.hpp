#pragma once
// A POSIX file descriptor with checked calls. Every error message has path, call and the system's
// reason. Private to src/store.

#include <string>
#include <string_view>

#include <sys/types.h>

namespace dln {

/// Throws Error (exit 1): "cannot write <path>: <reason> (<call>)" from errno.
[[noreturn]] void throw_errno(const std::string& path, const char* call);

class FileDescriptor {
  public:
    /// Opens `path`; throws like throw_errno. O_CLOEXEC is added.
    FileDescriptor(const std::string& path, int flags, mode_t mode = 0644);
    ~FileDescriptor();
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;

    [[nodiscard]] int get() const noexcept { return fd_; }
    void write_all(std::string_view bytes);
    void sync();
    /// Closes with the error reported; the destructor closes silently.
    void close();
    [[nodiscard]] std::string read_all();

  private:
    std::string path_;
    int fd_ = -1;
};

}  // namespace dln
