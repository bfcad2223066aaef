#include "job/overrides.hpp"

#include <charconv>
#include <string>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "job/json_text.hpp"

namespace dln::job {
namespace {

[[noreturn]] void fail(const Override& given, const std::string& what) {
    throw UsageError(
        fmt::format("--set {}={}: {}", printable(given.pointer), printable(given.value, 60), what));
}

std::vector<std::string> tokens_of(const Override& given) {
    if (!given.pointer.starts_with('/') || given.pointer.size() < 2) {
        fail(given, "the field is no JSON pointer. Expected \"/\" and names, e.g. /train/steps.");
    }
    std::vector<std::string> tokens;
    for (const char c : given.pointer) {
        if (c == '/') {
            tokens.emplace_back();
        } else {
            tokens.back() += c;
        }
    }
    for (auto& token : tokens) {
        for (std::size_t at = token.find('~'); at != std::string::npos;
             at = token.find('~', at + 1)) {
            const auto code = token.substr(at, 2);
            if (code != "~0" && code != "~1") {
                fail(given, "\"~\" in a JSON pointer is written ~0, and \"/\" is written ~1.");
            }
            token.replace(at, 2, 1, code == "~0" ? '~' : '/');
        }
    }
    return tokens;
}

/// The value as JSON when it is JSON, else as the text that it is.
Json value_of(const Override& given) {
    if (find_invalid_utf8(given.value)) {
        fail(given, "the value is not UTF-8.");
    }
    try {
        return parse_json_text(given.value, "--set " + given.pointer);
    } catch (const UsageError&) {
        return given.value;
    }
}

std::size_t index_of(const Override& given, const std::string& token, const Json& list) {
    std::size_t index = 0;
    const auto* const end = token.data() + token.size();
    const auto parsed = std::from_chars(token.data(), end, index);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        fail(given, fmt::format("\"{}\" is no index of a list. Expected 0 to {}.", printable(token),
                                list.size()));
    }
    if (index > list.size()) {
        fail(given,
             fmt::format("the list has {} entr{}. Expected an index of at most {}, which adds one.",
                         list.size(), list.size() == 1 ? "y" : "ies", list.size()));
    }
    return index;
}

void apply(Json& job, const Shape& root, const Override& given) {
    auto value = value_of(given);
    Json* at = &job;
    const Shape* shape = &root;
    for (const auto& token : tokens_of(given)) {
        if (shape != nullptr) {
            *at = expanded(*shape, *at);
        }
        if (at->is_null()) {
            *at =
                shape != nullptr && shape->kind == ShapeKind::list ? Json::array() : Json::object();
        }
        if (at->is_array()) {
            const auto index = index_of(given, token, *at);
            if (index == at->size()) {
                at->push_back(nullptr);
            }
            at = &(*at)[index];
            shape = shape == nullptr ? nullptr : shape->element.get();
        } else if (at->is_object()) {
            const auto* field = shape == nullptr ? nullptr : find_field(*shape, token);
            auto name = token;
            if (field != nullptr) {  // the file may use the alias
                name = !field->alias.empty() && at->contains(field->alias) ? field->alias
                                                                           : field->name;
            }
            at = &(*at)[name];
            shape = field == nullptr ? nullptr : field->shape.get();
        } else {
            fail(given,
                 fmt::format("\"{}\" has nothing below {}.", printable(token), describe(*at)));
        }
    }
    *at = std::move(value);
}

}  // namespace

void apply_overrides(Json& job, const Shape& shape, const std::vector<Override>& overrides) {
    for (const auto& each : overrides) {
        if (find_invalid_utf8(each.pointer)) {
            fail(each, "the field is not UTF-8.");
        }
        apply(job, shape, each);
    }
}

}  // namespace dln::job
