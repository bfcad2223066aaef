#include "store/file_descriptor.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "dln/error.hpp"

namespace dln {

void throw_errno(const std::string& path, const char* call) {
    const int reason = errno;
    throw Error(ExitCode::internal_error,
                fmt::format("{}: {} failed: {}", path, call, std::strerror(reason)));
}

FileDescriptor::FileDescriptor(const std::string& path, int flags, mode_t mode) : path_(path) {
    do {
        fd_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) {
        throw_errno(path_, "open");
    }
}

FileDescriptor::~FileDescriptor() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void FileDescriptor::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            throw_errno(path_, "write");
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void FileDescriptor::sync() {
    // Some file systems do not know fsync of a directory: EINVAL is then the only possible answer.
    if (::fsync(fd_) != 0 && errno != EINVAL) {
        throw_errno(path_, "fsync");
    }
}

void FileDescriptor::close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0 && errno != EINTR) {  // Linux has closed it even then
        throw_errno(path_, "close");
    }
}

std::string FileDescriptor::read_all() {
    std::string bytes;
    std::array<char, 65536> block;
    while (true) {
        const ssize_t count = ::read(fd_, block.data(), block.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            throw_errno(path_, "read");
        }
        if (count == 0) {
            return bytes;
        }
        bytes.append(block.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace dln
