#include "job/shape.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln::job {
namespace {

void collect_places(const Shape& shape,
                    std::string_view name,
                    const std::string& prefix,
                    std::vector<std::string>& places) {
    if (shape.kind == ShapeKind::list) {
        collect_places(*shape.element, name, prefix + "/*", places);
    }
    for (const auto& field : shape.fields) {
        if (field.name == name) {
            places.push_back(prefix + "/" + field.name);
        }
        collect_places(*field.shape, name, prefix + "/" + field.name, places);
    }
}

}  // namespace

const FieldShape* find_field(const Shape& object, std::string_view name) {
    const auto matches = [&](const FieldShape& field) {
        return field.name == name || (!field.alias.empty() && field.alias == name);
    };
    const auto found = std::find_if(object.fields.begin(), object.fields.end(), matches);
    return found == object.fields.end() ? nullptr : &*found;
}

Json expanded(const Shape& shape, const Json& given) {
    for (const auto& shorthand : shape.shorthands) {
        if (shorthand.accepts(given)) {
            return shorthand.expand(given);
        }
    }
    return given;
}

std::string describe(const Json& value) {
    constexpr std::size_t kShown = 60;
    switch (value.type()) {
        case Json::value_t::string:
            return fmt::format("the text \"{}\"",
                               printable(value.get_ref<const std::string&>(), kShown));
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
        case Json::value_t::number_float:
            return "the number " + value.dump();
        case Json::value_t::array:
            return value.empty() ? "an empty list" : "a list";
        case Json::value_t::object:
            return "an object";
        default:
            return value.dump();
    }
}

std::vector<std::string> field_names(const Shape& object) {
    std::vector<std::string> names;
    for (const auto& field : object.fields) {
        names.push_back(field.name);
        if (!field.alias.empty()) {
            names.push_back(field.alias);
        }
    }
    return names;
}

std::string pointer_token(std::string_view name) {
    std::string token;
    for (const char c : name) {
        token += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
    return token;
}

std::vector<std::string> places_of(const Shape& shape, std::string_view name) {
    std::vector<std::string> places;
    collect_places(shape, name, "", places);
    return places;
}

}  // namespace dln::job
