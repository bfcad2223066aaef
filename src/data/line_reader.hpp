#pragma once
// Lines of a UTF-8 text file, one at a time: what is in memory never depends on the size of the file.

#include <cstddef>
#include <fstream>
#include <string>

namespace dln {

class LineReader {
  public:
    /// Throws UsageError when `path` cannot be opened or is a directory.
    explicit LineReader(const std::string& path);
    /// Puts the next line into `line`, without its \n (but with a \r before it) and without a byte order
    /// mark; false at the end. Throws UsageError on invalid UTF-8 and when reading fails.
    [[nodiscard]] bool next(std::string& line);
    /// Of the line last read, from 1; 0 before the first.
    [[nodiscard]] std::size_t line_number() const noexcept { return line_number_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

  private:
    void check_utf8(const std::string& line) const;

    std::string path_;
    std::ifstream file_;
    std::size_t line_number_ = 0;
};

/// A line of nothing but ASCII white space.
[[nodiscard]] bool is_blank(const std::string& line);

}  // namespace dln
