#include <algorithm>
#include <cmath>

#include "dln/text/utf8.hpp"

#include "job/codec.hpp"
#include "job/object_codec.hpp"

namespace dln::job {
namespace {

std::shared_ptr<Shape> leaf(const std::string& type, const std::string& expected, Json schema) {
    auto shape = std::make_shared<Shape>();
    shape->type = type;
    shape->expected = expected;
    shape->schema = std::move(schema);
    return shape;
}

std::string range_words(const NumberRange& range) {
    std::string words;
    if (std::isfinite(range.low)) {
        words = fmt::format("{} {}", range.low_open ? "above" : "at least", range.low);
    }
    if (std::isfinite(range.high)) {
        words += words.empty() ? "" : " and ";
        words += fmt::format("{} {}", range.high_open ? "below" : "at most", range.high);
    }
    return words;
}

void fail_range(Reader& reader, const Json& found, const Shape& shape) {
    reader.fail(fmt::format("{} is out of range. Expected {}.", found.dump(), shape.expected));
}

void fail_unknown_field(Reader& reader, const Shape& shape, const std::string& name) {
    std::vector<std::string> valid;
    for (const auto& field : shape.fields) {
        valid.push_back(field.name);
    }
    const auto near = hint_for(name, field_names(shape));
    reader.fail(fmt::format("unknown field. Expected one of: {}.{}", fmt::join(valid, ", "),
                            near.empty() ? reader.place_hint(name) : near),
                {name});
}

}  // namespace

std::shared_ptr<Shape> integer_shape(std::uint64_t min, std::uint64_t max) {
    const bool is_bounded = max < static_cast<std::uint64_t>(std::numeric_limits<int>::max());
    auto words = is_bounded ? fmt::format("{} to {}", min, max) : fmt::format("at least {}", min);
    Json schema{{"type", "integer"}, {"minimum", min}};
    if (is_bounded) {
        schema["maximum"] = max;
    }
    auto shape = leaf("integer",
                      is_bounded ? fmt::format("an integer from {}", words)
                                 : fmt::format("an integer of {}", words),
                      schema);
    shape->range = std::move(words);
    return shape;
}

std::optional<std::uint64_t> read_integer(
    Reader& reader, const Json& json, const Shape& shape, std::uint64_t min, std::uint64_t max) {
    if (!json.is_number()) {
        reader.fail_type(shape, json);
        return std::nullopt;
    }
    std::optional<std::uint64_t> value;
    if (json.is_number_unsigned()) {
        value = json.get<std::uint64_t>();
    } else if (json.is_number_float()) {
        const auto real = json.get<double>();
        constexpr double kTwoTo64 = 18446744073709551616.0;
        if (std::isfinite(real) && std::floor(real) != real) {
            reader.fail_type(shape, json);
            return std::nullopt;
        }
        if (real >= 0.0 && real < kTwoTo64) {
            value = static_cast<std::uint64_t>(real);
        }
    }
    if (value && *value > max) {
        reader.fail(fmt::format("{} is out of range. Expected {}, at most {}.", json.dump(),
                                shape.expected, max));
        return std::nullopt;
    }
    if (!value || *value < min) {
        fail_range(reader, json, shape);
        return std::nullopt;
    }
    return value;
}

Codec<double> number(const NumberRange& range) {
    Json schema{{"type", "number"}};
    if (std::isfinite(range.low)) {
        schema[range.low_open ? "exclusiveMinimum" : "minimum"] = range.low;
    }
    if (std::isfinite(range.high)) {
        schema[range.high_open ? "exclusiveMaximum" : "maximum"] = range.high;
    }
    const std::string words = range_words(range);
    auto shape = leaf("number", words.empty() ? "a number" : "a number " + words, schema);
    shape->range = words;
    return {shape,
            [=](Reader& reader, const Json& json, double& out) {
                if (!json.is_number()) {
                    return reader.fail_type(*shape, json);
                }
                const auto value = json.get<double>();
                const bool above = range.low_open ? value > range.low : value >= range.low;
                const bool below = range.high_open ? value < range.high : value <= range.high;
                if (!std::isfinite(value) || !above || !below) {
                    return fail_range(reader, json, *shape);
                }
                out = value;
            },
            [](const double& value) { return Json(value); }};
}

Codec<bool> boolean() {
    auto shape = leaf("true/false", "true or false", {{"type", "boolean"}});
    return {shape,
            [=](Reader& reader, const Json& json, bool& out) {
                if (!json.is_boolean()) {
                    return reader.fail_type(*shape, json);
                }
                out = json.get<bool>();
            },
            [](const bool& value) { return Json(value); }};
}

Codec<std::string> text() {
    auto shape = leaf("text", "a text", {{"type", "string"}});
    return {shape,
            [=](Reader& reader, const Json& json, std::string& out) {
                if (!json.is_string()) {
                    return reader.fail_type(*shape, json);
                }
                out = json.get<std::string>();
            },
            [](const std::string& value) { return Json(value); }};
}

Codec<std::string> non_empty_text() {
    auto shape = leaf("text", "a text that is not empty", {{"type", "string"}, {"minLength", 1}});
    shape->range = "not empty";
    return {shape,
            [=](Reader& reader, const Json& json, std::string& out) {
                if (!json.is_string()) {
                    return reader.fail_type(*shape, json);
                }
                if (json.get_ref<const std::string&>().empty()) {
                    return reader.fail(fmt::format("an empty text. Expected {}.", shape->expected));
                }
                out = json.get<std::string>();
            },
            [](const std::string& value) { return Json(value); }};
}

Codec<std::string> choice_text(const std::vector<std::string>& names) {
    const auto words = quoted_list(names);
    auto shape = leaf("choice", "one of: " + words, {{"type", "string"}, {"enum", names}});
    shape->range = words;
    return {
        shape,
        [=](Reader& reader, const Json& json, std::string& out) {
            if (!json.is_string()) {
                return reader.fail_type(*shape, json);
            }
            const auto word = json.get<std::string>();
            if (std::find(names.begin(), names.end(), word) == names.end()) {
                return reader.fail(fmt::format("unknown value \"{}\". Expected one of: {}.{}",
                                               printable(word, 60), words, hint_for(word, names)));
            }
            out = word;
        },
        [](const std::string& value) { return Json(value); }};
}

Codec<Json> any_value() {
    return {leaf("any", "any JSON value", Json::object()),
            [](Reader&, const Json& json, Json& out) { out = json; },
            [](const Json& value) { return value; }};
}

std::shared_ptr<Shape> list_shape(const ShapePtr& element,
                                  std::size_t min_entries,
                                  Brackets brackets) {
    auto shape = std::make_shared<Shape>();
    shape->kind = ShapeKind::list;
    shape->type = "list of " + element->type;
    shape->element = element;
    shape->min_entries = min_entries;
    const auto least = min_entries > 0 ? fmt::format("at least {} ", min_entries) : std::string();
    shape->expected = fmt::format("a list of {}entr{}, each {}", least,
                                  min_entries == 1 ? "y" : "ies", element->expected);
    shape->range = min_entries > 0 ? fmt::format("at least {}", min_entries) : "";
    if (brackets == Brackets::optional) {
        const auto accepts = [](const Json& json) { return json.is_string() || json.is_object(); };
        shape->shorthands.push_back({.doc = "a single entry",
                                     .schema = {},
                                     .accepts = accepts,
                                     .expand = [](const Json& json) {
                                         auto entries = Json::array();
                                         entries.push_back(json);
                                         return entries;
                                     }});
        shape->expected = fmt::format("{}; or a list of {}these", element->expected,
                                      least + (least.empty() ? "" : "of "));
    }
    return shape;
}

Shorthand text_shorthand(const std::string& field, const std::string& doc) {
    return {.doc = doc,
            .schema = {{"type", "string"}},
            .accepts = [](const Json& json) { return json.is_string(); },
            .expand =
                [field](const Json& json) {
                    return Json{{field, json}};
                }};
}

const Json* given_value(const FieldShape& field, const Json& json) {
    const auto found = json.find(field.name);
    if (found != json.end()) {
        return &*found;
    }
    const auto by_alias = field.alias.empty() ? json.end() : json.find(field.alias);
    return by_alias != json.end() ? &*by_alias : nullptr;
}

bool is_filled_in(const FieldShape& field) {
    return field.shape->kind == ShapeKind::object && !field.shape->nullable && !field.required;
}

bool check_fields(Reader& reader, const Shape& shape, const Json& json) {
    if (!json.is_object()) {
        reader.fail_type(shape, json);
        return false;
    }
    for (const auto& [name, value] : json.items()) {
        const auto* field = find_field(shape, name);
        if (field == nullptr) {
            fail_unknown_field(reader, shape, name);
        } else if (name == field->alias && json.contains(field->name)) {
            reader.fail(fmt::format("\"{}\" and \"{}\" are the same field. Keep one of them.",
                                    field->name, field->alias));
        }
    }
    for (const auto& field : shape.fields) {
        if (field.required && given_value(field, json) == nullptr) {
            reader.fail(fmt::format("missing. Expected {}.", field.shape->expected), {field.name});
        }
    }
    return true;
}

}  // namespace dln::job
