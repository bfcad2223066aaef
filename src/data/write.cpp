#include "dln/data/write.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

/// A file beside its final name. Disappears when it was not committed.
class NewFile {
  public:
    explicit NewFile(const std::string& path)
        : path_(path), temporary_(fmt::format("{}.tmp{}", path, ::getpid())) {
        file_ = std::fopen(temporary_.c_str(), "wb");
        check(file_ != nullptr, "create");
    }
    ~NewFile() {
        if (file_ != nullptr) {
            (void)std::fclose(file_);
        }
        if (!committed_) {
            (void)std::remove(temporary_.c_str());
        }
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void write(const std::string& bytes) {
        check(std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size(), "write");
    }

    void commit() {
        check(std::fflush(file_) == 0, "write");
        check(::fsync(::fileno(file_)) == 0, "flush");
        const int closed = std::fclose(std::exchange(file_, nullptr));
        check(closed == 0, "close");
        check(std::rename(temporary_.c_str(), path_.c_str()) == 0, "rename");
        committed_ = true;
    }

  private:
    void check(bool ok, const char* action) const {
        if (!ok) {
            throw UsageError(
                fmt::format("{}: cannot {} the file: {}", path_, action, std::strerror(errno)));
        }
    }

    std::string path_;
    std::string temporary_;
    std::FILE* file_ = nullptr;
    bool committed_ = false;
};

/// The rename itself survives a power cut. Best effort: some file systems refuse it.
void flush_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)::fsync(descriptor);
        (void)::close(descriptor);
    }
}

std::string json_string(const std::string& path, std::size_t index, std::string_view text) {
    if (const auto at = find_invalid_utf8(text)) {
        throw UsageError(
            fmt::format("{}: example {} cannot be written as JSON: invalid UTF-8 at byte {}: {}",
                        path, index, *at + 1, printable(text, 60)));
    }
    return nlohmann::json(text).dump();
}

std::string task_member(const std::string& path, const Dataset& examples, std::size_t index) {
    return fmt::format(", \"task\": {}",
                       json_string(path, index, examples.task_names()[examples.task(index)]));
}

}  // namespace

void write_json_lines(const std::string& path, const Dataset& examples) {
    auto folder = std::filesystem::path(path).parent_path();
    if (folder.empty()) {
        folder = ".";
    }
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
        throw UsageError(
            fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()));
    }
    NewFile file(path);
    for (std::size_t i = 0; i < examples.size(); ++i) {
        const auto example = examples[i];
        file.write(fmt::format("{{\"input\": {}, \"target\": {}{}}}\n",
                               json_string(path, i, example.input),
                               json_string(path, i, example.target),
                               examples.has_tasks() ? task_member(path, examples, i) : ""));
    }
    file.commit();
    flush_folder(folder);
}

}  // namespace dln
