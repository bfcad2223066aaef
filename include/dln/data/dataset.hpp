#pragma once
// The examples of one split, held compactly: one buffer of bytes and one of offsets, so that a million
// examples cost their text plus 16 bytes each, and so that rank 0 can read a file once and broadcast it.
// Where examples of several tasks are in one set, each has the name of its task: all have one, or none has.
// Immutable after it was built. No thread or rank rules: a value.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
    /// The same, with the name of its task. Pre: all examples before it have one too.
    void add(std::string_view input, std::string_view target, std::string_view task);
    /// Appends example `index` of `from`, with its task if it has one. Pre: index < from.size().
    void add_from(const Dataset& from, std::size_t index);
    [[nodiscard]] std::size_t size() const noexcept { return offsets_.size() / 2; }
    [[nodiscard]] bool empty() const noexcept { return offsets_.empty(); }
    /// Pre: index < size().
    [[nodiscard]] Example operator[](std::size_t index) const;
    /// The names of the tasks in the order of their first example; empty where examples have none.
    [[nodiscard]] const std::vector<std::string>& task_names() const noexcept {
        return task_names_;
    }
    /// Whether examples have tasks; an empty set has none.
    [[nodiscard]] bool has_tasks() const noexcept { return !task_names_.empty(); }
    /// The task of an example as an index into task_names(). Pre: has_tasks(), index < size().
    [[nodiscard]] std::size_t task(std::size_t index) const;
    /// SHA-256 (hex) over all examples in order, with their tasks: identifies the content of the split.
    [[nodiscard]] std::string digest() const;
    /// The whole set as bytes, and back; throws UsageError when `bytes` is no serialised set.
    [[nodiscard]] std::string serialize() const;
    [[nodiscard]] static Dataset deserialize(std::string_view bytes);

  private:
    void append(std::string_view input, std::string_view target);
    [[nodiscard]] std::string header() const;
    [[nodiscard]] std::string task_section() const;
    void read_task_section(std::string_view bytes);

    std::string bytes_;
    std::vector<std::uint64_t> offsets_;  // end of input, end of target, per example
    std::vector<std::string> task_names_;
    std::map<std::string, std::uint32_t, std::less<>>
        task_numbers_;                  // name -> index in task_names_
    std::vector<std::uint32_t> tasks_;  // per example, or empty
};

}  // namespace dln
