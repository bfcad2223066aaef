#pragma once
// What the JSON of a job may look like, as data: the tree of fields with their types, ranges,
// defaults and sentences. Built by the codecs of job/fields.cpp together with the functions that
// read and write each field; walked by the overrides, the schema, the documentation and the hints
// in messages. Pure.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace dln::job {

/// Keeps the order of fields, so that a resolved job reads like its documentation.
using Json = nlohmann::ordered_json;

struct Shape;
using ShapePtr = std::shared_ptr<const Shape>;

/// One field of an object.
struct FieldShape {
    std::string name = {};
    std::string alias = {};  ///< accepted instead of `name`; empty: none
    std::string doc = {};    ///< one sentence
    bool required = false;
    Json default_value = {};        ///< of a field that is not required
    std::string default_text = {};  ///< in words, where a value does not tell it
    ShapePtr shape = {};
};

/// A shorter JSON that stands for the full one: a path for a split, a string for a class.
struct Shorthand {
    std::string doc = {};
    Json schema = {};
    std::function<bool(const Json&)> accepts = {};
    std::function<Json(const Json&)> expand = {};
};

enum class ShapeKind { leaf, object, list };

struct Shape {
    ShapeKind kind = ShapeKind::leaf;
    std::string type = {};  ///< one or two words for the documentation: "integer", "list of text"
    std::string expected = {};  ///< for messages: "an integer of at least 1"
    std::string range = {};     ///< for the documentation: "at least 1"; empty: any
    Json schema = {};           ///< of a leaf, JSON schema draft-07
    bool nullable = false;      ///< null stands for "absent"
    std::vector<Shorthand> shorthands = {};
    // object
    std::string title = {};  ///< heading of its section in the documentation
    std::string doc = {};
    std::vector<FieldShape> fields = {};
    // list
    ShapePtr element = {};
    std::size_t min_entries = 0;
};

/// The field of `object` that is called `name`, or whose alias is; null when there is none.
[[nodiscard]] const FieldShape* find_field(const Shape& object, std::string_view name);

/// `given` with the shorthand that it is, if it is one, written out.
[[nodiscard]] Json expanded(const Shape& shape, const Json& given);

/// "the text "ten"", "the number 5.5", "a list": what was found, for messages.
[[nodiscard]] std::string describe(const Json& value);

/// All names and aliases of `object`'s fields.
[[nodiscard]] std::vector<std::string> field_names(const Shape& object);

/// A token of a JSON pointer, escaped.
[[nodiscard]] std::string pointer_token(std::string_view name);

/// Pointers (with * for an index) of all fields below `shape` that are called `name`.
[[nodiscard]] std::vector<std::string> places_of(const Shape& shape, std::string_view name);

}  // namespace dln::job
