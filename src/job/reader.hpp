#pragma once
// What codecs share while they read one job: where they are in the file, the faults found so far,
// and the files that the job names.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job/shape.hpp"

namespace dln::job {

/// Whether files that the job names are looked at: rank 0 does, the other ranks cannot rely on
/// seeing them.
enum class FileAccess { check, skip };

/// `place` as the user would find it in the file: a shorthand or an alias is named as it was
/// written, an absent field as it is called.
[[nodiscard]] std::string pointer_in(const Json& given,
                                     const Shape& shape,
                                     const std::vector<std::string>& place);

class Reader {
  public:
    /// `file` is the job file's path as the user gave it; `given` and `shape` must outlive the
    /// reader.
    Reader(std::string file, const Json& given, const Shape& shape, FileAccess access);

    /// Steps into a field or list entry for as long as it lives.
    class Scope {
      public:
        Scope(Reader& reader, std::string token) : reader_(reader) {
            reader_.place_.push_back(std::move(token));
        }
        ~Scope() { reader_.place_.pop_back(); }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

      private:
        Reader& reader_;
    };

    /// Notes a fault: `what` is wrong here, or at `below` under here.
    void fail(const std::string& what, const std::vector<std::string>& below = {});
    /// Notes that `found` is not what `shape` expects.
    void fail_type(const Shape& shape, const Json& found);
    [[nodiscard]] bool has_failed() const noexcept { return fault_count_ > 0; }
    /// Throws UsageError with all faults, one a line (at most 10), when there are any.
    void throw_faults() const;

    /// Where else in a job the field `name` occurs, as a sentence for a message; empty when
    /// nowhere.
    [[nodiscard]] std::string place_hint(std::string_view name) const;

    /// Name of the job file without directory and extension; "job" when it has none.
    [[nodiscard]] std::string stem() const;
    /// `path` made absolute: relative to the job file's directory. Notes a fault for NUL bytes.
    [[nodiscard]] std::string resolve(const std::string& path);
    /// The same for a file that must exist and be readable.
    [[nodiscard]] std::string resolve_existing(const std::string& path);
    /// Content of the text file at `path`; notes a fault when it cannot be read or is not UTF-8.
    [[nodiscard]] std::string read_text(const std::string& path);

  private:
    std::string file_;
    const Json& given_;
    const Shape& shape_;
    FileAccess access_;
    std::filesystem::path directory_;
    std::vector<std::string> place_;
    std::vector<std::string> faults_;
    std::size_t fault_count_ = 0;
};

/// All bytes of the file at `path`, or nothing when it cannot be read (a directory opens but cannot).
[[nodiscard]] std::optional<std::string> read_bytes(const std::filesystem::path& path);

/// "Did you mean "x"?" with a space before it, or nothing.
[[nodiscard]] std::string hint_for(std::string_view word, const std::vector<std::string>& known);

/// `entries` in quotes, separated by commas.
[[nodiscard]] std::string quoted_list(const std::vector<std::string>& entries);

}  // namespace dln::job
