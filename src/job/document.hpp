#pragma once
// Reading a whole file of which there is a table of fields.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "job/codec.hpp"
#include "job/json_text.hpp"
#include "job/overrides.hpp"

namespace dln::job {

/// The bytes of the file at `path`. Throws UsageError; `kind`: "job".
[[nodiscard]] inline std::string read_document(const std::string& path, std::string_view kind) {
    auto text = read_bytes(path);
    if (!text) {
        throw UsageError(fmt::format("{}: cannot be read. Expected the path of a {} file.",
                                     printable(path), kind));
    }
    return std::move(*text);
}

/// What `text` says, changed by `overrides`. Throws UsageError with all faults; `kind`: "job".
template <class T>
T parse_document(std::string_view text,
                 const std::string& path,
                 std::string_view kind,
                 const Codec<T>& codec,
                 const std::vector<Override>& overrides,
                 FileAccess access) {
    auto json = parse_json_text(text, path);
    if (!json.is_object()) {
        throw UsageError(fmt::format("{}: wrong type: found {}. Expected an object: {{ ... }}.",
                                     path.empty() ? std::string(kind) : printable(path),
                                     describe(json)));
    }
    json.erase("$schema");
    apply_overrides(json, *codec.shape, overrides);
    T result;
    result.path = path;
    Reader reader(path, json, *codec.shape, access);
    codec.read(reader, json, result);
    reader.throw_faults();
    return result;
}

}  // namespace dln::job
