#include "dln/data/dataset.hpp"

#include <fmt/format.h>

#include "dln/digest/sha256.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

// A serialised set: magic, number of offsets, number of bytes, offsets, bytes; numbers are 64-bit
// little-endian. With tasks the magic is another one, and their section follows: number of tasks, the end of
// each name, all names, and for each example the index of its task.
// The digest is that of the serialised set: DO NOT CHANGE, runs hold digests.
constexpr std::string_view kMagic = "DLNDATA1";
constexpr std::string_view kMagicWithTasks = "DLNDATA2";
constexpr std::size_t kHeaderBytes = 24;

void append_number(std::string& bytes, std::uint64_t number) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        bytes += static_cast<char>(static_cast<unsigned char>(number >> shift));
    }
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return number;
}

/// The ends of texts that lie one after the other in `text` bytes.
std::vector<std::uint64_t> read_ends(std::string_view bytes, std::size_t count, std::size_t text) {
    std::vector<std::uint64_t> ends;
    ends.reserve(count);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto end = number_at(bytes, 8 * i);
        if (end < last || end > text) {
            throw UsageError(fmt::format("a damaged serialised data set: offset {} is {} after {}",
                                         i, end, last));
        }
        ends.push_back(last = end);
    }
    return ends;
}

}  // namespace

void Dataset::append(std::string_view input, std::string_view target) {
    bytes_ += input;
    offsets_.push_back(bytes_.size());
    bytes_ += target;
    offsets_.push_back(bytes_.size());
}

void Dataset::add(std::string_view input, std::string_view target) {
    DLN_ASSERT(!has_tasks(), "example {} has no task, those before it have", size());
    append(input, target);
}

void Dataset::add(std::string_view input, std::string_view target, std::string_view task) {
    DLN_ASSERT(tasks_.size() == size(), "example {} has a task, those before it have none", size());
    append(input, target);
    auto number = task_numbers_.find(task);
    if (number == task_numbers_.end()) {
        number = task_numbers_.emplace(task, static_cast<std::uint32_t>(task_names_.size())).first;
        task_names_.emplace_back(task);
    }
    tasks_.push_back(number->second);
}

void Dataset::add_from(const Dataset& from, std::size_t index) {
    const auto example = from[index];
    if (from.has_tasks()) {
        add(example.input, example.target, from.task_names_[from.tasks_[index]]);
    } else {
        add(example.input, example.target);
    }
}

std::size_t Dataset::task(std::size_t index) const {
    DLN_ASSERT(index < tasks_.size(), "task of example {} of {}", index, tasks_.size());
    return tasks_[index];
}

Example Dataset::operator[](std::size_t index) const {
    DLN_ASSERT(index < size(), "example {} of {}", index, size());
    const std::string_view bytes = bytes_;
    const auto begin = index == 0 ? 0 : offsets_[2 * index - 1];
    const auto middle = offsets_[2 * index];
    const auto end = offsets_[2 * index + 1];
    return {.input = bytes.substr(begin, middle - begin),
            .target = bytes.substr(middle, end - middle)};
}

std::string Dataset::header() const {
    std::string result(has_tasks() ? kMagicWithTasks : kMagic);
    result.reserve(kHeaderBytes + 8 * offsets_.size());
    append_number(result, offsets_.size());
    append_number(result, bytes_.size());
    for (const auto offset : offsets_) {
        append_number(result, offset);
    }
    return result;
}

std::string Dataset::task_section() const {
    std::string result;
    if (!has_tasks()) {
        return result;
    }
    append_number(result, task_names_.size());
    std::string names;
    for (const auto& name : task_names_) {
        append_number(result, (names += name).size());
    }
    result += names;
    for (const auto task : tasks_) {
        append_number(result, task);
    }
    return result;
}

std::string Dataset::digest() const {
    Sha256 hash;
    hash.add(header());
    hash.add(bytes_);
    hash.add(task_section());
    return hash.finish();
}

std::string Dataset::serialize() const { return header() + bytes_ + task_section(); }

Dataset Dataset::deserialize(std::string_view bytes) {
    const auto magic = bytes.substr(0, kMagic.size());
    if (bytes.size() < kHeaderBytes || (magic != kMagic && magic != kMagicWithTasks)) {
        throw UsageError(fmt::format("{} bytes are no serialised data set", bytes.size()));
    }
    const auto offsets = number_at(bytes, 8);
    const auto text = number_at(bytes, 16);
    const auto rest = bytes.size() - kHeaderBytes;
    const bool has_tasks = magic == kMagicWithTasks;
    const auto fits = [&](std::size_t room) { return has_tasks ? text <= room : text == room; };
    if (offsets % 2 != 0 || offsets > rest / 8 || !fits(rest - 8 * offsets)) {
        throw UsageError(fmt::format(
            "a damaged serialised data set: {} offsets and {} bytes of text in {} bytes", offsets,
            text, rest));
    }
    Dataset result;
    result.offsets_ = read_ends(bytes.substr(kHeaderBytes), offsets, text);
    if (const auto last = offsets == 0 ? 0 : result.offsets_.back(); last != text) {
        throw UsageError(fmt::format("a damaged serialised data set: the last offset is {}, not {}",
                                     last, text));
    }
    result.bytes_ = bytes.substr(kHeaderBytes + 8 * offsets, text);
    if (has_tasks) {
        result.read_task_section(bytes.substr(kHeaderBytes + 8 * offsets + text));
    }
    return result;
}

// Only what task_section writes is read: tasks are named in the order of their first example.
void Dataset::read_task_section(std::string_view bytes) {
    const auto check = [](bool right, std::string_view what) {
        if (!right) {
            throw UsageError(fmt::format("a damaged serialised data set: {}", what));
        }
    };
    check(bytes.size() >= 8, "no number of tasks");
    const auto count = number_at(bytes, 0);
    bytes.remove_prefix(8);
    check(count > 0 && count <= size() && count <= bytes.size() / 8, "a wrong number of tasks");
    const auto ends = read_ends(bytes, count, bytes.size() - 8 * count);
    bytes.remove_prefix(8 * count);
    check(bytes.size() == ends.back() + 8 * size(), "a wrong number of tasks of examples");
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = i == 0 ? 0 : ends[i - 1];
        task_names_.emplace_back(bytes.substr(begin, ends[i] - begin));
        check(task_numbers_.emplace(task_names_.back(), static_cast<std::uint32_t>(i)).second,
              "two tasks with the same name");
    }
    bytes.remove_prefix(ends.back());
    std::uint64_t known = 0;
    for (std::size_t i = 0; i < size(); ++i) {
        const auto task = number_at(bytes, 8 * i);
        check(task <= known && task < count, "an unknown task of an example");
        known += task == known ? 1U : 0U;
        tasks_.push_back(static_cast<std::uint32_t>(task));
    }
    check(known == count, "a task without an example");
}

}  // namespace dln
