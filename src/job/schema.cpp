#include "dln/job/job_docs.hpp"

#include "job/fields.hpp"
#include "job/mop_fields.hpp"
#include "job/sweep_fields.hpp"

namespace dln {
namespace {

using job::FieldShape;
using job::Json;
using job::Shape;
using job::ShapeKind;

Json schema_of(const Shape& shape);

Json schema_of_field(const FieldShape& field) {
    auto schema = schema_of(*field.shape);
    schema["description"] = field.default_text.empty()
                                ? field.doc
                                : field.doc + " Default: " + field.default_text + ".";
    if (!field.required && field.default_text.empty() && !field.default_value.is_null() &&
        !field.default_value.is_object()) {
        schema["default"] = field.default_value;
    }
    return schema;
}

Json schema_of_object(const Shape& shape) {
    auto properties = Json::object();
    auto required = Json::array();
    auto either = Json::array();
    for (const auto& field : shape.fields) {
        properties[field.name] = schema_of_field(field);
        if (!field.alias.empty()) {
            properties[field.alias] = properties[field.name];
        }
        if (field.required && field.alias.empty()) {
            required.push_back(field.name);
        } else if (field.required) {
            const auto one = [](const std::string& name) {
                return Json{{"required", Json::array({name})}};
            };
            either.push_back({{"oneOf", Json::array({one(field.name), one(field.alias)})}});
        } else if (!field.alias.empty()) {
            either.push_back({{"not", {{"required", Json::array({field.name, field.alias})}}}});
        }
    }
    Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty()) {
        schema["required"] = required;
    }
    if (!either.empty()) {
        schema["allOf"] = either;
    }
    return schema;
}

Json schema_of_list(const Shape& shape) {
    Json schema{{"type", "array"}, {"items", schema_of(*shape.element)}};
    if (shape.min_entries > 0) {
        schema["minItems"] = shape.min_entries;
    }
    return schema;
}

/// The schema of the value's full form, of its shorthands, and of null.
Json schema_of(const Shape& shape) {
    auto forms = Json::array();
    const auto add = [&](Json schema) {
        if (schema.size() == 1 && schema.contains("anyOf")) {
            forms.insert(forms.end(), schema["anyOf"].begin(), schema["anyOf"].end());
        } else {
            forms.push_back(std::move(schema));
        }
    };
    if (shape.kind == ShapeKind::list && !shape.shorthands.empty()) {
        add(schema_of(*shape.element));  // a single entry
    } else {
        for (const auto& shorthand : shape.shorthands) {
            add(shorthand.schema);
        }
    }
    switch (shape.kind) {
        case ShapeKind::leaf:
            add(shape.schema);
            break;
        case ShapeKind::object:
            add(schema_of_object(shape));
            break;
        case ShapeKind::list:
            add(schema_of_list(shape));
            break;
    }
    if (shape.nullable) {
        add({{"type", "null"}});
    }
    return forms.size() == 1 ? forms[0] : Json{{"anyOf", forms}};
}

std::string schema_of_document(const Shape& shape,
                               const std::string& title,
                               const std::string& description) {
    Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"},
                {"title", title},
                {"description", description}};
    auto body = schema_of(shape);
    body["properties"]["$schema"] = {{"type", "string"}, {"description", "Path of this schema."}};
    schema.update(body);
    return schema.dump(2) + "\n";
}

}  // namespace

std::string job_schema() {
    return schema_of_document(
        *job::job_codec().shape, "dln job",
        "A training run of a deep language network; docs/job-format.md explains it.");
}

std::string mop_schema() {
    return schema_of_document(*job::mop_codec().shape, "dln job of a mixture of prompts",
                              "A training run of a mixture of prompts; docs/mop.md explains it.");
}

std::string sweep_schema() {
    return schema_of_document(*job::sweep_codec().shape, "dln sweep",
                              "Many runs of a job; docs/sweeps.md explains it.");
}

}  // namespace dln
