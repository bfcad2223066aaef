#include "line_reader.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_ascii(std::string_view text) {
    std::size_t at = 0;
    for (std::uint64_t word = 0; at + sizeof word <= text.size(); at += sizeof word) {
        std::memcpy(&word, text.data() + at, sizeof word);
        if ((word & 0x8080808080808080U) != 0) {
            return false;
        }
    }
    for (; at < text.size(); ++at) {
        if (static_cast<unsigned char>(text[at]) >= 0x80) {
            return false;
        }
    }
    return true;
}

/// What a file that begins with these bytes probably is instead of UTF-8 text.
std::string_view likely_nature(std::string_view start) {
    if (start.substr(0, 2) == "\x1F\x8B") {
        return "; this looks like a gzip file: unpack it first";
    }
    if (start.substr(0, 2) == "\xFF\xFE" || start.substr(0, 2) == "\xFE\xFF") {
        return "; this looks like UTF-16: iconv -f UTF-16 -t UTF-8 makes it right";
    }
    return "; the file must be UTF-8: iconv -f LATIN1 -t UTF-8 makes it right if it is Latin-1";
}

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        throw UsageError(fmt::format("{}: is a directory, a data file is needed", path));
    }
    errno = 0;
    file_.open(path, std::ios::binary);
    if (!file_) {
        throw UsageError(fmt::format("{}: cannot read the data file: {}", path,
                                     errno != 0 ? std::strerror(errno) : "open failed"));
    }
}

bool LineReader::next(std::string& line) {
    errno = 0;
    if (!std::getline(file_, line)) {
        if (file_.bad()) {
            throw UsageError(fmt::format("{}: reading failed after line {}: {}", path_,
                                         line_number_,
                                         errno != 0 ? std::strerror(errno) : "unknown error"));
        }
        return false;
    }
    ++line_number_;
    if (line_number_ == 1 && line.compare(0, kByteOrderMark.size(), kByteOrderMark) == 0) {
        line.erase(0, kByteOrderMark.size());
    }
    check_utf8(line);
    return true;
}

void LineReader::check_utf8(const std::string& line) const {
    if (is_ascii(line)) {
        return;
    }
    if (const auto at = find_invalid_utf8(line)) {
        throw UsageError(fmt::format("{}:{}: invalid UTF-8 at byte {} of the line (0x{:02x}){}",
                                     path_, line_number_, *at + 1,
                                     static_cast<unsigned char>(line[*at]),
                                     likely_nature(line_number_ == 1 ? line : std::string())));
    }
}

bool is_blank(const std::string& line) {
    return line.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
}

}  // namespace dln
