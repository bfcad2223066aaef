#include "dln/store/sealed_log.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"

#include "store/run_lock.hpp"
#include "store/sealed_line.hpp"

namespace dln {
namespace {

std::string read_if_there(const std::string& path) {
    std::error_code failure;
    return std::filesystem::exists(path, failure) ? read_whole_file(path) : std::string();
}

SealedLog::Content content_of(const std::string& bytes, const std::string& path) {
    SealedLog::Content content;
    std::size_t begin = 0;
    for (std::size_t end = bytes.find('\n'); end != std::string::npos;
         begin = end + 1, end = bytes.find('\n', begin)) {
        std::string line = bytes.substr(begin, end - begin);
        if (!is_sealed(line)) {
            content.fault = fmt::format(
                "{}: line {} is damaged: its checksum is not that of its "
                "content",
                path, content.lines.size() + 1);
            break;
        }
        content.lines.push_back(std::move(line));
    }
    return content;
}

}  // namespace

SealedLog::SealedLog(std::string path) : path_(std::move(path)) {}
SealedLog::~SealedLog() = default;
SealedLog::SealedLog(SealedLog&&) noexcept = default;

SealedLog::Content SealedLog::read() const { return content_of(read_if_there(path_), path_); }

SealedLog::Content SealedLog::take(const std::string& lock_path) {
    lock_ = std::make_unique<RunLock>(lock_path);
    const std::string bytes = read_if_there(path_);
    Content content = content_of(bytes, path_);
    std::string kept;
    for (const std::string& line : content.lines) kept += line + "\n";
    if (!content.fault.empty()) durable_write(path_ + ".damaged", bytes);
    if (kept.size() != bytes.size()) durable_write(path_, kept);
    return content;
}

void SealedLog::append(std::string object) {
    DLN_ASSERT(lock_ != nullptr, "{} is written without its lock", path_);
    DLN_ASSERT(object.ends_with('}'), "{}: no object", object);
    object.pop_back();
    durable_append(path_, sealed_line(std::move(object)));
}

void SealedLog::keep_alive() { lock_->keep_alive(); }

}  // namespace dln
