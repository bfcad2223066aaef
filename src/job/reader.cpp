#include "job/reader.hpp"

#include <array>
#include <charconv>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln::job {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostFaults = 10;

/// Names in `path`'s directory, for hints. Empty when it cannot be listed.
std::vector<std::string> neighbours(const fs::path& path) {
    constexpr std::size_t kMostNames = 1000;
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(path.parent_path(), error), end;
         !error && at != end && names.size() < kMostNames; at.increment(error)) {
        names.push_back(at->path().filename().string());
    }
    return names;
}

/// Why `path` cannot be read, or nothing.
std::string why_unreadable(const fs::path& path) {
    std::error_code error;
    const auto shown = printable(path.string());
    if (!fs::exists(path, error)) {
        return fmt::format(
            "there is no file \"{}\". Expected a path that is absolute or relative to the file "
            "that names it.{}",
            shown, hint_for(path.filename().string(), neighbours(path)));
    }
    if (fs::is_directory(path, error)) {
        return fmt::format("\"{}\" is a directory. Expected a file.", shown);
    }
    if (!std::ifstream(path, std::ios::binary)) {
        return fmt::format("\"{}\" cannot be read. Check its permissions.", shown);
    }
    return {};
}

const Json* entry_at(const Json& list, const std::string& token) {
    std::size_t index = 0;
    const auto* const end = token.data() + token.size();
    const auto parsed = std::from_chars(token.data(), end, index);
    return parsed.ec == std::errc() && parsed.ptr == end && index < list.size() ? &list[index]
                                                                                : nullptr;
}

}  // namespace

std::string pointer_in(const Json& given,
                       const Shape& shape,
                       const std::vector<std::string>& place) {
    std::string pointer;
    const Json* json = &given;
    const Shape* at = &shape;
    for (const auto& token : place) {
        if (json != nullptr && at != nullptr && at->kind == ShapeKind::list) {
            if (!json->is_array() && !json->is_null()) {
                at = at->element.get();
                continue;  // one entry stands for the list
            }
            json = json->is_array() ? entry_at(*json, token) : nullptr;
            at = at->element.get();
            pointer += "/" + token;
            continue;
        }
        if (json != nullptr && at == nullptr && json->is_array()) {
            json = entry_at(*json, token);
            pointer += "/" + token;
            continue;
        }
        if (json != nullptr && !json->is_object() && !json->is_null()) {
            break;  // a shorthand
        }
        const auto* field = at == nullptr ? nullptr : find_field(*at, token);
        auto name = token;
        if (field != nullptr && json != nullptr && json->is_object() && !json->contains(token) &&
            !field->alias.empty() && json->contains(field->alias)) {
            name = field->alias;
        }
        pointer += fmt::format("/{}", pointer_token(name));
        json = json != nullptr && json->is_object() && json->contains(name) ? &json->at(name)
                                                                            : nullptr;
        at = field == nullptr ? nullptr : field->shape.get();
    }
    return pointer;
}

Reader::Reader(std::string file, const Json& given, const Shape& shape, FileAccess access)
    : file_(std::move(file)), given_(given), shape_(shape), access_(access) {
    std::error_code error;
    directory_ = fs::absolute(fs::path(file_), error).parent_path();
}

void Reader::fail(const std::string& what, const std::vector<std::string>& below) {
    ++fault_count_;
    if (faults_.size() == kMostFaults) {
        return;
    }
    auto place = place_;
    place.insert(place.end(), below.begin(), below.end());
    const auto pointer = pointer_in(given_, shape_, place);
    faults_.push_back(fmt::format("{}: {}: {}", file_.empty() ? "job" : printable(file_),
                                  pointer.empty() ? "/" : printable(pointer), what));
}

void Reader::fail_type(const Shape& shape, const Json& found) {
    fail(fmt::format("wrong type: found {}. Expected {}.", describe(found), shape.expected));
}

void Reader::throw_faults() const {
    if (fault_count_ == 0) {
        return;
    }
    auto message = fmt::format("{}", fmt::join(faults_, "\n"));
    if (fault_count_ > faults_.size()) {
        message += fmt::format("\n... and {} more", fault_count_ - faults_.size());
    }
    throw UsageError(message);
}

std::string Reader::place_hint(std::string_view name) const {
    const auto places = places_of(shape_, name);
    return places.empty() ? std::string()
                          : fmt::format(" It belongs at {}.", fmt::join(places, " or "));
}

std::string Reader::stem() const {
    const auto stem = fs::path(file_).stem().string();
    return stem.empty() ? "job" : stem;
}

std::string Reader::resolve(const std::string& path) {
    if (path.find('\0') != std::string::npos) {
        fail("a path cannot hold a NUL byte.");
        return path;
    }
    return (directory_ / path).lexically_normal().string();
}

std::string Reader::resolve_existing(const std::string& path) {
    if (path.empty()) {
        fail("the path is empty. Expected the path of a file.");
        return path;
    }
    auto resolved = resolve(path);
    if (access_ == FileAccess::check && resolved.find('\0') == std::string::npos) {
        const auto reason = why_unreadable(resolved);
        if (!reason.empty()) {
            fail(reason);
        }
    }
    return resolved;
}

std::string Reader::read_text(const std::string& path) {
    const auto before = fault_count_;
    const auto resolved = resolve_existing(path);
    if (fault_count_ != before || access_ == FileAccess::skip) {
        return {};
    }
    auto text = read_bytes(resolved);
    if (!text) {
        fail(fmt::format("\"{}\" cannot be read.", printable(resolved)));
        return {};
    }
    if (const auto bad = find_invalid_utf8(*text)) {
        fail(fmt::format("\"{}\" is not UTF-8: the byte at offset {} is invalid. Save it as UTF-8.",
                         printable(resolved), *bad));
        return {};
    }
    return std::move(*text);
}

std::optional<std::string> read_bytes(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes;
    std::array<char, 65536> block{};
    while (in.read(block.data(), block.size()) || in.gcount() > 0) {
        bytes.append(block.data(), static_cast<std::size_t>(in.gcount()));
    }
    return in.eof() && !in.bad() ? std::optional(std::move(bytes)) : std::nullopt;
}

std::string hint_for(std::string_view word, const std::vector<std::string>& known) {
    const auto near = near_miss(word, known);
    return near ? fmt::format(" Did you mean \"{}\"?", printable(*near)) : std::string();
}

std::string quoted_list(const std::vector<std::string>& entries) {
    std::string list;
    for (const auto& entry : entries) {
        list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", printable(entry));
    }
    return list;
}

}  // namespace dln::job
