#include "store/file_descriptor.hpp"

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

std::unique_ptr<FileDescriptor> FileDescriptor::make_new(const std::string& path) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EEXIST) {
        return nullptr;
    }
    if (fd < 0) {
        throw_errno(path, "open");
    }
    std::unique_ptr<FileDescriptor> file(new FileDescriptor);
    file->path_ = path;
    file->fd_ = fd;
    return file;
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

void FileDescriptor::sync_data() {
    if (::fdatasync(fd_) != 0 && errno != EINVAL) {
        throw_errno(path_, "fdatasync");
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
    constexpr std::size_t kBlock = 65536;
    std::string bytes;
    while (read_some(bytes, kBlock)) {
    }
    return bytes;
}

bool FileDescriptor::read_some(std::string& bytes, std::size_t most) {
    const std::size_t before = bytes.size();
    bytes.resize(before + most);
    ssize_t count = 0;
    do {
        count = ::read(fd_, bytes.data() + before, most);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        throw_errno(path_, "read");
    }
    bytes.resize(before + static_cast<std::size_t>(count));
    return count > 0;
}

std::string FileDescriptor::read_at(std::uint64_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    std::size_t done = 0;
    while (done < length) {
        const ssize_t count =
            ::pread(fd_, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            throw_errno(path_, "pread");
        }
        if (count == 0) {
            break;
        }
        done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
}

}  // namespace dln
