#include "dln/store/journal.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <system_error>
#include <tuple>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/failpoint.hpp"

#include "store/file_descriptor.hpp"
#include "store/journal_line.hpp"
#include "store/sealed_line.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;

/// A file's name: rank-<rank>.jsonl (number 0) or rank-<rank>-<number>.jsonl.
struct FileName {
    int rank = 0;
    int number = 0;
    [[nodiscard]] std::string text() const {
        return number == 0 ? fmt::format("rank-{}.jsonl", rank)
                           : fmt::format("rank-{}-{}.jsonl", rank, number);
    }
    friend auto operator<=>(const FileName&, const FileName&) = default;
};

std::optional<FileName> parse_file_name(const std::string& text) {
    constexpr std::string_view kBegin = "rank-";
    if (!text.starts_with(kBegin)) {
        return std::nullopt;
    }
    FileName name;
    const char* const last = text.data() + text.size();
    const char* end = std::from_chars(text.data() + kBegin.size(), last, name.rank).ptr;
    if (end != last && *end == '-') {
        end = std::from_chars(end + 1, last, name.number).ptr;
    }
    // Only what this program would write: no signs, no leading zeros, nothing behind.
    return name.rank >= 0 && name.text() == text ? std::optional<FileName>(name) : std::nullopt;
}

/// The names of the journal's files, by rank and number: the order in which "first" is meant.
std::vector<FileName> files_in(const std::string& directory) {
    std::vector<FileName> names;
    std::error_code failure;
    fs::directory_iterator entries(directory, failure);
    for (; !failure && entries != fs::directory_iterator(); entries.increment(failure)) {
        std::error_code gone;
        const auto name = parse_file_name(entries->path().filename().string());
        if (name && entries->is_regular_file(gone)) {
            names.push_back(*name);
        }
    }
    if (failure && failure != std::errc::no_such_file_or_directory) {
        throw Error(ExitCode::internal_error,
                    fmt::format("{}: cannot list the journal: {}", directory, failure.message()));
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// A piece of a file up to a line feed or the end.
struct Piece {
    std::uint64_t offset = 0;
    std::string_view bytes;  ///< without line feed; valid until the next piece
    bool is_complete = false;
};

/// Cuts a file into lines. Of one that is longer than any reply makes it keeps only an end, which no
/// checksum fits, so that memory stays bounded whatever the file holds.
class LineScanner {
  public:
    LineScanner(const std::string& path, std::uint64_t begin, std::size_t longest_line)
        : file_(path, O_RDONLY), longest_line_(longest_line), offset_(begin) {
        if (begin > 0 && ::lseek(file_.get(), static_cast<off_t>(begin), SEEK_SET) < 0) {
            throw_errno(path, "lseek");
        }
    }

    std::optional<Piece> next() {
        constexpr std::size_t kLeastBlock = std::size_t{1} << 12U;
        constexpr std::size_t kMostBlock = std::size_t{1} << 20U;
        std::size_t searched = 0;  // of the bytes behind begin_
        bool is_cut = false;
        while (true) {
            const std::size_t end = buffer_.find('\n', begin_ + searched);
            if (end != std::string::npos) {
                return take(end - begin_, true);
            }
            buffer_.erase(0, begin_);
            begin_ = 0;
            if (buffer_.size() > longest_line_) {
                offset_ += buffer_.size();
                buffer_.clear();
                is_cut = true;
            }
            searched = buffer_.size();
            // Files of short runs are many and small.
            block_ = std::clamp(2 * block_, kLeastBlock, kMostBlock);
            if (!file_.read_some(buffer_, block_)) {
                return buffer_.empty() && !is_cut ? std::nullopt
                                                  : std::optional(take(buffer_.size(), false));
            }
        }
    }

  private:
    Piece take(std::size_t length, bool is_complete) {
        const Piece piece{offset_, std::string_view(buffer_).substr(begin_, length), is_complete};
        const std::size_t taken = length + (is_complete ? 1 : 0);
        begin_ += taken;
        offset_ += taken;
        return piece;
    }

    FileDescriptor file_;
    std::size_t longest_line_;
    std::size_t block_ = 0;
    std::string buffer_;
    std::size_t begin_ = 0;     // of what was not taken yet, in buffer_
    std::uint64_t offset_ = 0;  // of the same, in the file
};

}  // namespace

Journal Journal::read_only(std::string directory, std::size_t longest_reply) {
    Journal journal(std::move(directory), std::nullopt, longest_reply);
    journal.read_new_files();
    return journal;
}

Journal Journal::read_write(std::string directory, int rank, std::size_t longest_reply) {
    DLN_ASSERT(rank >= 0, "rank {}", rank);
    Journal journal(std::move(directory), rank, longest_reply);
    journal.read_new_files();
    return journal;
}

Journal Journal::unread(std::string directory, int rank) {
    DLN_ASSERT(rank >= 0, "rank {}", rank);
    return {std::move(directory), rank, kLongestReply};
}

Journal::Journal(std::string directory, std::optional<int> rank, std::size_t longest_reply)
    : directory_(std::move(directory)),
      rank_(rank),
      longest_reply_(longest_reply),
      takes_replies_(rank.has_value()) {
    // A place in a file counts the bytes of a line in 32 bits.
    DLN_ASSERT(longest_line(longest_reply) <= UINT32_MAX, "replies of {} bytes", longest_reply);
}

Journal::~Journal() = default;
Journal::Journal(Journal&&) noexcept = default;

void Journal::read_new_files() {
    std::set<std::string> known;
    for (const JournalFile& file : files_) known.insert(file.path);
    for (const FileName& name : files_in(directory_)) {
        const std::string path = fmt::format("{}/{}", directory_, name.text());
        if (known.contains(path)) continue;
        if (name.rank == rank_) {
            next_number_ = std::max(next_number_, name.number + 1);
        }
        files_.push_back({path, nullptr});
        read_file(static_cast<std::uint32_t>(files_.size() - 1));
    }
}

/// From where it was read to before.
void Journal::read_file(std::uint32_t file) {
    JournalFile& its = files_[file];
    const std::size_t longest = longest_line(longest_reply_);
    LineScanner scanner(its.path, its.read, longest);
    while (const auto piece = scanner.next()) {
        if (!piece->is_complete) {
            ++counts_.torn_tails;
            break;
        }
        its.read = piece->offset + piece->bytes.size() + 1;
        ++its.lines;
        if (piece->bytes.size() > longest || !is_sealed(piece->bytes)) {
            ++counts_.skipped_lines;
        } else {
            take_line(piece->bytes,
                      {piece->offset, static_cast<std::uint32_t>(piece->bytes.size()), file},
                      its.lines);
        }
    }
}

void Journal::refresh() {
    counts_.torn_tails = 0;  // counted again where they still are
    for (std::uint32_t file = 0; file < files_.size(); ++file) {
        const bool is_own = own_ && file == own_file_;
        if (!is_own) read_file(file);
    }
    read_new_files();
}

void Journal::take_line(std::string_view line, const Place& place, std::int64_t number) {
    if (const auto version = version_of(line); version && *version != kJournalVersion) {
        throw UsageError(
            fmt::format("{}: line {} has journal format {}, this program reads {}. Go on with the "
                        "dln that wrote it, or give this job another run_dir",
                        files_[place.file].path, number, *version, kJournalVersion));
    }
    const auto key = key_of(line);
    if (!key) {
        ++counts_.skipped_lines;
        return;
    }
    if (!index_.contains(*key)) {
        index_.emplace(*key, place);
        ++counts_.held;
        return;
    }
    const auto first = held_reply(*key);
    const auto second = reply_of(line, *key);
    if (!second) {
        ++counts_.skipped_lines;
    } else if (!first) {  // its line could not be read: this one takes its place
        index_.emplace(*key, place);
        ++counts_.held;
    } else if (*first != *second) {
        ++counts_.conflicts;
    }
}

std::optional<std::string> Journal::find(const PaidRequest& request) {
    auto reply = held_reply(journal_key(request));
    ++(reply ? counts_.hits : counts_.misses);
    return reply;
}

/// Drops the entry when its line is not what it was.
std::optional<std::string> Journal::held_reply(const JournalKey& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) {
        return std::nullopt;
    }
    const Place place = found->second;
    try {
        const std::string line = reader_of(files_[place.file]).read_at(place.offset, place.length);
        if (line.size() == place.length && is_sealed(line)) {
            if (auto reply = reply_of(line, key)) {
                return reply;
            }
        }
    } catch (const Error&) {  // a disk that no longer reads it: paying again is better than ending
    }
    index_.erase(found);
    --counts_.held;
    ++counts_.skipped_lines;
    return std::nullopt;
}

FileDescriptor& Journal::reader_of(JournalFile& file) {
    constexpr int kMostReaders = 64;  // far below the usual limit of 1024 open files
    if (!file.reader) {
        if (open_readers_ == kMostReaders) {
            for (JournalFile& other : files_) {
                other.reader.reset();
            }
            open_readers_ = 0;
        }
        file.reader = std::make_unique<FileDescriptor>(file.path, O_RDONLY);
        ++open_readers_;
    }
    return *file.reader;
}

void Journal::put(const PaidRequest& request, std::string_view reply) {
    DLN_ASSERT(rank_.has_value(), "{}: opened read_only", directory_);
    if (!takes_replies_) {
        return;
    }
    const JournalKey key = journal_key(request);
    if (const auto held = held_reply(key)) {
        counts_.conflicts += *held == reply ? 0 : 1;
        return;
    }
    if (reply.size() > longest_reply_) {
        ++counts_.too_long;
        return;
    }
    const std::string line = journal_line(key, request, reply);
    or_stop_taking([&] { append(line); });
    index_.emplace(key, Place{own_size_, static_cast<std::uint32_t>(line.size() - 1), own_file_});
    own_size_ += line.size();
    ++counts_.held;
    ++counts_.written;
    failpoint("journal.after_line");
}

void Journal::append(std::string_view line) {
    if (!own_) {
        make_own_file();
    }
    has_unsynced_ = true;
    if (is_failpoint_due("journal", "half_line")) {
        own_->write_all(line.substr(0, line.size() / 2));
        kill_at_failpoint();
    }
    own_->write_all(line);
}

/// O_EXCL decides between processes that want the same name, on network file systems too.
void Journal::make_own_file() {
    std::string path;
    do {
        path = fmt::format("{}/{}", directory_, FileName{*rank_, next_number_++}.text());
        own_ = FileDescriptor::make_new(path);
    } while (!own_);
    files_.push_back({path, nullptr});
    own_file_ = static_cast<std::uint32_t>(files_.size() - 1);
    failpoint("journal.after_open");
    sync_directory(directory_);
    failpoint("journal.after_directory_fsync");
}

void Journal::sync() {
    if (takes_replies_ && has_unsynced_) {
        failpoint("journal.before_fsync");
        or_stop_taking([&] { own_->sync_data(); });
        has_unsynced_ = false;
        failpoint("journal.after_fsync");
    }
}

template <class Work>
void Journal::or_stop_taking(Work work) {
    try {
        work();
    } catch (const Error& error) {
        takes_replies_ = false;
        throw Error(error.exit_code(),
                    fmt::format("{}. The journal takes no more replies: a restart would pay for "
                                "those to come again",
                                error.what()));
    }
}

}  // namespace dln
