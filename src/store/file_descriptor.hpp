#pragma once
// A POSIX file descriptor with checked calls. Every error message has path, call and the system's
// reason. Private to src/store.

#include <cstddef>
#include <cstdint>
#include <memory>
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
    /// Makes `path` and opens it for appending; null when something of this name is there already.
    [[nodiscard]] static std::unique_ptr<FileDescriptor> make_new(const std::string& path);
    ~FileDescriptor();
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;

    [[nodiscard]] int get() const noexcept { return fd_; }
    void write_all(std::string_view bytes);
    void sync();
    /// Makes the content durable, and of the rest only what is needed to read it (fdatasync).
    void sync_data();
    /// Closes with the error reported; the destructor closes silently.
    void close();
    [[nodiscard]] std::string read_all();
    /// Appends up to `most` bytes to `bytes`; false at the end of the file.
    [[nodiscard]] bool read_some(std::string& bytes, std::size_t most);
    /// `length` bytes from `offset`, fewer at the end of the file.
    [[nodiscard]] std::string read_at(std::uint64_t offset, std::size_t length);

  private:
    FileDescriptor() = default;

    std::string path_;
    int fd_ = -1;
};

}  // namespace dln
