#pragma once
// A codec knows everything of one kind of field: its shape, how its JSON becomes a C++ value and
// back. Codecs of leaves are here and in leaf_codecs.cpp; ObjectCodec joins them to the codec of a
// struct. The default of a field is what the default-constructed struct holds, so that it is
// written in one place.

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "job/reader.hpp"
#include "job/shape.hpp"

namespace dln::job {

template <class T>
struct Codec {
    std::shared_ptr<Shape> shape;
    /// Sets the value, or notes faults on the reader and leaves it as it was.
    std::function<void(Reader&, const Json&, T&)> read;
    std::function<Json(const T&)> write;
};

// ---- leaves ------------------------------------------------------------------------------------

/// Bounds of a number, infinite for none; an open bound is not itself allowed.
struct NumberRange {
    double low = 0.0;
    double high = std::numeric_limits<double>::infinity();
    bool low_open = false;
    bool high_open = false;
};

[[nodiscard]] std::shared_ptr<Shape> integer_shape(std::uint64_t min, std::uint64_t max);
/// The integer in [min, max] that `json` is, or nothing and a fault.
[[nodiscard]] std::optional<std::uint64_t> read_integer(
    Reader& reader, const Json& json, const Shape& shape, std::uint64_t min, std::uint64_t max);

/// An integer of at least `min`, which is not negative.
template <class T>
Codec<T> integer(std::uint64_t min,
                 std::uint64_t max = static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
    auto shape = integer_shape(min, max);
    return {shape,
            [=](Reader& reader, const Json& json, T& out) {
                if (const auto value = read_integer(reader, json, *shape, min, max)) {
                    out = static_cast<T>(*value);
                }
            },
            [](const T& value) { return Json(value); }};
}

[[nodiscard]] Codec<double> number(const NumberRange& range = {});
[[nodiscard]] Codec<bool> boolean();
[[nodiscard]] Codec<std::string> text();
/// A text of at least one byte.
[[nodiscard]] Codec<std::string> non_empty_text();
/// Whatever JSON it is.
[[nodiscard]] Codec<Json> any_value();
/// One of `names`.
[[nodiscard]] Codec<std::string> choice_text(const std::vector<std::string>& names);

template <class E>
Codec<E> choice(const std::vector<std::pair<E, std::string>>& names) {
    std::vector<std::string> words;
    for (const auto& [value, word] : names) {
        words.push_back(word);
    }
    auto inner = choice_text(words);
    return {inner.shape,
            [=](Reader& reader, const Json& json, E& out) {
                std::string word;
                inner.read(reader, json, word);
                for (const auto& [value, name] : names) {
                    out = name == word ? value : out;
                }
            },
            [=](const E& wanted) {
                for (const auto& [value, word] : names) {
                    if (value == wanted) {
                        return Json(word);
                    }
                }
                return Json();
            }};
}

// ---- absent values and lists -------------------------------------------------------------------

template <class T>
Codec<std::optional<T>> nullable(const Codec<T>& inner) {
    auto shape = std::make_shared<Shape>(*inner.shape);
    shape->nullable = true;
    return {shape,
            [=](Reader& reader, const Json& json, std::optional<T>& out) {
                if (json.is_null()) {
                    out.reset();
                } else {
                    inner.read(reader, json, out.emplace());
                }
            },
            [=](const std::optional<T>& value) { return value ? inner.write(*value) : Json(); }};
}

/// Whether a single entry may be given without the list's brackets.
enum class Brackets { needed, optional };

[[nodiscard]] std::shared_ptr<Shape> list_shape(const ShapePtr& element,
                                                std::size_t min_entries,
                                                Brackets brackets);

template <class T>
Codec<std::vector<T>> list(const Codec<T>& element,
                           Brackets brackets = Brackets::needed,
                           std::size_t min_entries = 0) {
    auto shape = list_shape(element.shape, min_entries, brackets);
    return {shape,
            [=](Reader& reader, const Json& json, std::vector<T>& out) {
                const auto entries = expanded(*shape, json);
                if (!entries.is_array()) {
                    return reader.fail_type(*shape, json);
                }
                if (entries.size() < min_entries) {
                    reader.fail(fmt::format("an empty list. Expected {}.", shape->expected));
                }
                std::vector<T> read(entries.size());
                for (std::size_t i = 0; i < entries.size(); ++i) {
                    const Reader::Scope scope(reader, std::to_string(i));
                    element.read(reader, entries[i], read[i]);
                }
                out = std::move(read);
            },
            [=](const std::vector<T>& values) {
                auto json = Json::array();
                for (const auto& value : values) {
                    json.push_back(element.write(value));
                }
                return json;
            }};
}

}  // namespace dln::job
