#include "llm/http/secret.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln::http {

namespace {

constexpr std::size_t kMostKeyBytes = 16384;
// The beginning of a key that a cut may have left: shorter ones give nothing away.
constexpr std::size_t kTellingBytes = 8;
constexpr std::string_view kHidden = "[hidden]";

bool is_key_byte(char byte) { return byte > 0x20 && byte < 0x7f; }

/// The key in `text`, or UsageError; the message never has a byte of it.
Secret key_from(std::string_view text, const std::string& source) {
    text = trim(text);
    if (text.empty()) {
        throw UsageError(fmt::format("{} is empty. Expected an API key.", source));
    }
    const auto bad = std::find_if_not(text.begin(), text.end(), is_key_byte);
    if (bad != text.end()) {
        throw UsageError(
            fmt::format("{} has a byte 0x{:02x} at offset {} of the key. Expected printable ASCII "
                        "without spaces, and nothing but the key.",
                        source, static_cast<unsigned char>(*bad), bad - text.begin()));
    }
    return Secret(text);
}

/// Variables are shown only when they look like one: a key given in place of a name must not be.
bool is_upper_case_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char byte) {
        return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
    });
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
        text.replace(at, what.size(), by);
        at += by.size();
    }
}

void hide_cut_key(std::string& text, std::string_view key) {
    std::string_view shown = text;
    const bool dots = shown.ends_with("...");
    if (dots) {
        shown.remove_suffix(3);
    }
    for (auto length = std::min(key.size() - 1, shown.size()); length >= kTellingBytes; --length) {
        if (shown.ends_with(key.substr(0, length))) {
            text =
                fmt::format("{}[key]{}", shown.substr(0, shown.size() - length), dots ? "..." : "");
            return;
        }
    }
}

void hide_user_parts(std::string& text) {
    for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at)) {
        at += 3;
        const auto end = std::min(text.find_first_of("/?# \t\r\n\"'<>", at), text.size());
        const auto sign = text.rfind('@', end == 0 ? 0 : end - 1);
        if (sign != std::string::npos && sign >= at && sign < end) {
            text.replace(at, sign - at, kHidden);
        }
    }
}

void hide_query_values(std::string& text) {
    constexpr std::string_view kEnd = "&;# \t\r\n\"'<>";
    bool in_query = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '?') {
            in_query = true;
        } else if (in_query && text[at] == '=') {
            const auto end = std::min(text.find_first_of(kEnd, at + 1), text.size());
            if (end > at + 1) {
                text.replace(at + 1, end - at - 1, kHidden);
                at += kHidden.size();
            }
        } else if (text[at] != '&' && text[at] != ';' && kEnd.find(text[at]) != kEnd.npos) {
            in_query = false;
        }
    }
}

}  // namespace

Secret::Secret(std::string_view text)
    : bytes_(text.empty() ? nullptr : std::make_unique<char[]>(text.size())), size_(text.size()) {
    std::copy(text.begin(), text.end(), bytes_.get());
}

Secret::~Secret() { wipe(); }

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void Secret::wipe() noexcept {
    if (bytes_) {
        explicit_bzero(bytes_.get(), size_);
    }
}

Secret Secret::from_environment(const std::string& name, std::string_view place) {
    const std::string shown =
        is_upper_case_name(name) ? fmt::format("environment variable \"{}\"", name)
                                 : std::string("the environment variable of that name (not shown)");
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value == nullptr) {
        throw UsageError(
            fmt::format("{}: {} is not set. Expected the name of a variable that "
                        "holds the API key; the key itself never stands here.",
                        place, shown));
    }
    forbid_core_dumps();
    return key_from(value, fmt::format("{}: {}", place, shown));
}

Secret Secret::from_file(const std::string& path, std::string_view place) {
    const std::string source = fmt::format("{}: key file {}", place, printable(path));
    struct File {
        int fd;
        ~File() {
            if (fd >= 0) {
                ::close(fd);
            }
        }
    } const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat facts {};
    if (file.fd < 0 || ::fstat(file.fd, &facts) != 0) {
        throw UsageError(fmt::format("{} cannot be read: {}.", source, std::strerror(errno)));
    }
    if (!S_ISREG(facts.st_mode)) {
        throw UsageError(fmt::format("{} is not a regular file.", source));
    }
    if (facts.st_uid != ::geteuid()) {
        throw UsageError(fmt::format("{} belongs to user {}. Expected your own ({}).", source,
                                     facts.st_uid, ::geteuid()));
    }
    if ((facts.st_mode & 0077U) != 0) {
        throw UsageError(
            fmt::format("{} has mode {:04o}: others may use it. Expected 0600: chmod 600 it.",
                        source, facts.st_mode & 07777U));
    }
    forbid_core_dumps();
    std::array<char, kMostKeyBytes + 1> bytes;
    std::size_t count = 0;
    ssize_t got = 0;
    while (count < bytes.size() &&
           ((got = ::read(file.fd, bytes.data() + count, bytes.size() - count)) > 0 ||
            (got < 0 && errno == EINTR))) {
        count += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    struct Wipe {
        std::array<char, kMostKeyBytes + 1>& bytes;
        ~Wipe() { explicit_bzero(bytes.data(), bytes.size()); }
    } const wipe_at_end{bytes};
    if (got < 0 || count > kMostKeyBytes) {
        throw UsageError(got < 0
                             ? fmt::format("{} cannot be read: {}.", source, std::strerror(errno))
                             : fmt::format("{} has more than {} bytes. Expected one API key.",
                                           source, kMostKeyBytes));
    }
    return key_from({bytes.data(), count}, source);
}

std::string redact(std::string_view text, const Secret& key) {
    std::string result(text);
    if (!key.empty()) {
        replace_all(result, key.reveal(), "[key]");
        hide_cut_key(result, key.reveal());
    }
    hide_user_parts(result);
    hide_query_values(result);
    return result;
}

void forbid_core_dumps() {
    // One byte, not none: the kernel still feeds a collector's pipe at limit 0, but at 1 it does not,
    // and no file is that small.
    rlimit limit{};
    if (::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur != 1) {
        limit.rlim_cur = std::min<rlim_t>(1, limit.rlim_max);
        ::setrlimit(RLIMIT_CORE, &limit);
    }
}

}  // namespace dln::http
