#pragma once
// A file of JSON objects, one a line, each with a checksum, that one process at a time appends to. Rank 0 only.

#include <memory>
#include <string>
#include <vector>

namespace dln {

class RunLock;

class SealedLog {
  public:
    /// Touches nothing. `path` may not be there yet.
    explicit SealedLog(std::string path);
    /// Gives the lock back if this object holds it.
    ~SealedLog();
    SealedLog(SealedLog&&) noexcept;
    SealedLog& operator=(SealedLog&&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    struct Content {
        std::vector<std::string> lines;  ///< objects, up to the first line that is damaged
        std::string fault;               ///< which line that is; empty: none is
    };
    /// A last line without its end is what a killed writer left: it is not there, and no fault.
    [[nodiscard]] Content read() const;

    /// Makes this process the writer, who holds `lock_path` until this object goes; reads as read() does, and drops
    /// what read() does not return. Where that is no torn line, the file as it was is kept as <path>.damaged. Throws
    /// UsageError that says who holds the lock when another writer lives; Error (exit 1) when the disk refuses.
    [[nodiscard]] Content take(const std::string& lock_path);
    /// Appends one object, durably. Pre: take(); `object` is a JSON object, not an empty one, on one line.
    void append(std::string object);
    /// Tells other hosts that this writer lives: call it at least once a minute. Cheap. Pre: take().
    void keep_alive();

  private:
    std::string path_;
    std::unique_ptr<RunLock> lock_;
};

}  // namespace dln
