#pragma once
// The examples of one split, held compactly: one buffer of bytes and one of offsets, so that a million
// examples cost their text plus 16 bytes each, and so that rank 0 can read a file once and broadcast it.
// Immutable after it was built. No thread or rank rules: a value.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dln {

/// One (input x, target y) pair; views into the Dataset that it came from.
struct Example {
    std::string_view input;
    std::string_view target;
};

class Dataset {
  public:
    /// Appends an example; its index is size() before the call. Text is any bytes, NUL included.
    void add(std::string_view input, std::string_view target);
    [[nodiscard]] std::size_t size() const noexcept { return offsets_.size() / 2; }
    [[nodiscard]] bool empty() const noexcept { return offsets_.empty(); }
    /// Pre: index < size().
    [[nodiscard]] Example operator[](std::size_t index) const;
    /// SHA-256 (hex) over all examples in order: identifies the content of the split.
    [[nodiscard]] std::string digest() const;
    /// The whole set as bytes, and back; throws UsageError when `bytes` is no serialised set.
    [[nodiscard]] std::string serialize() const;
    [[nodiscard]] static Dataset deserialize(std::string_view bytes);

  private:
    std::string bytes_;
    std::vector<std::uint64_t> offsets_;  // end of input, end of target, per example
};

}  // namespace dln
