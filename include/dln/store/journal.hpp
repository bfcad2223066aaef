#pragma once
// The journal of a run: every reply that was paid for, under the request that bought it, so that a
// restart never pays twice and a run can be replayed without a network. Format:
// docs/journal-format.md.
//
// Each rank opens the journal for itself and then knows what *all* earlier processes wrote, of any
// number of ranks. What other processes write later it sees when told to refresh. Without that, agree
// (all_of) between opening and the first put, or a line that another rank is just writing counts as
// torn. A process writes one file, made anew at its first put; no file ever has two writers, and none
// is changed later. So several runs may share a journal, whichever processes write to it meanwhile.
//
// Only an index is held in memory (less than 100 bytes a reply). Not for several threads.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dln {

class FileDescriptor;

/// What was asked, byte for byte. Requests that should get different replies must differ, e.g. in
/// the number of a sample.
struct PaidRequest {
    std::string_view model;  ///< identity of the model (BackendInfo::model)
    std::string_view path;   ///< e.g. "/v1/completions"
    std::string_view body;
};

/// XXH3-128 of a request's parts.
struct JournalKey {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend bool operator==(const JournalKey&, const JournalKey&) = default;
};

struct JournalCounts {
    std::int64_t held = 0;           ///< replies that can be found
    std::int64_t hits = 0;           ///< of find
    std::int64_t misses = 0;         ///< of find
    std::int64_t written = 0;        ///< by this object
    std::int64_t skipped_lines = 0;  ///< damaged: their requests must be paid again
    std::int64_t torn_tails = 0;     ///< last lines of killed writers, not counted above
    std::int64_t conflicts = 0;      ///< another reply to a request held already: the first counts
    std::int64_t too_long = 0;       ///< replies not kept because of their length
};

class Journal {
  public:
    /// Replies that are longer than this, or than what an object is given instead, are counted and not kept.
    static constexpr std::size_t kLongestReply = std::size_t{64} << 20U;

    /// Reads all files of `directory` (none when it does not exist) and takes no replies. Damage is
    /// counted, never thrown. Throws UsageError on a line of another format version, with file,
    /// line and both versions; Error (exit 1) with path and reason when the disk refuses.
    [[nodiscard]] static Journal read_only(std::string directory,
                                           std::size_t longest_reply = kLongestReply);
    /// The same, and takes replies into a new file of `rank`. Touches nothing before the first put.
    [[nodiscard]] static Journal read_write(std::string directory,
                                            int rank,
                                            std::size_t longest_reply = kLongestReply);
    /// The same, but reads nothing before refresh().
    [[nodiscard]] static Journal unread(std::string directory, int rank);
    ~Journal();
    Journal(Journal&&) noexcept;
    Journal& operator=(Journal&&) = delete;

    /// The reply to `request`, verified by its checksum; nullopt when it was never paid for, or its
    /// line was damaged since (then it is dropped and counted, and may be put again).
    [[nodiscard]] std::optional<std::string> find(const PaidRequest& request);

    /// Keeps `reply`, one write() in all; durable after sync(). A request held already is not
    /// written again. Throws Error (exit 1) with path and reason when the disk refuses; from then on
    /// the journal takes nothing more and put and sync do nothing, so that a caller who catches it
    /// may go on. Pre: opened read_write.
    void put(const PaidRequest& request, std::string_view reply);
    /// Makes durable what was put: call before each step file is saved. Throws like put.
    void sync();
    /// Reads what other processes have written since. Costs what is new. A line that is just being written
    /// is left for the next time. Throws as opening does.
    void refresh();
    /// False when opened read_only and after put or sync has thrown.
    [[nodiscard]] bool takes_replies() const noexcept { return takes_replies_; }

    [[nodiscard]] const JournalCounts& counts() const noexcept { return counts_; }

  private:
    /// Where the line of a reply lies. The line feed does not count.
    struct Place {
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
        std::uint32_t file = 0;  ///< index into files_
    };
    struct KeyHash {
        std::size_t operator()(const JournalKey& key) const noexcept { return key.low; }
    };
    struct JournalFile {
        std::string path;
        std::unique_ptr<FileDescriptor> reader;  ///< open only while it is of use
        std::uint64_t read = 0;                  ///< bytes of complete lines that were taken
        std::int64_t lines = 0;                  ///< so many
    };

    Journal(std::string directory, std::optional<int> rank, std::size_t longest_reply);
    void read_new_files();
    void read_file(std::uint32_t file);
    void take_line(std::string_view line, const Place& place, std::int64_t number);
    [[nodiscard]] std::optional<std::string> held_reply(const JournalKey& key);
    [[nodiscard]] FileDescriptor& reader_of(JournalFile& file);
    void append(std::string_view line);
    void make_own_file();
    template <class Work>
    void or_stop_taking(Work work);

    std::string directory_;
    std::optional<int> rank_;  ///< none when opened read_only
    std::size_t longest_reply_;
    bool takes_replies_;
    JournalCounts counts_;
    std::unordered_map<JournalKey, Place, KeyHash> index_;
    std::vector<JournalFile> files_;
    int open_readers_ = 0;
    int next_number_ = 0;  ///< k of the next rank-<N>-<k>.jsonl; 0 stands for rank-<N>.jsonl
    std::unique_ptr<FileDescriptor> own_;
    std::uint32_t own_file_ = 0;  ///< its index into files_, once there is one
    std::uint64_t own_size_ = 0;
    bool has_unsynced_ = false;
};

}  // namespace dln
