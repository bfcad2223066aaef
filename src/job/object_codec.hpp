#pragma once
// Joins the codecs of fields to the codec of a struct.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "job/codec.hpp"

namespace dln::job {

/// Refuses fields of `json` that `shape` does not know, and a field beside its alias; notes missing
/// ones. Returns false when `json` is no object.
bool check_fields(Reader& reader, const Shape& shape, const Json& json);

/// The value of `field` in `json`, by name or alias; null when it is absent.
[[nodiscard]] const Json* given_value(const FieldShape& field, const Json& json);

/// True for an object that is read, as {}, even when it is absent: its defaults may have to be
/// worked out.
[[nodiscard]] bool is_filled_in(const FieldShape& field);

/// A text that stands for an object with that one field.
[[nodiscard]] Shorthand text_shorthand(const std::string& field, const std::string& doc);

/// What a field has besides name, member, codec and sentence.
struct FieldOptions {
    bool required = false;
    std::string alias = {};
    std::string default_text = {};
};

template <class T>
class ObjectCodec {
  public:
    ObjectCodec(std::string title, std::string doc) : shape_(std::make_shared<Shape>()) {
        shape_->kind = ShapeKind::object;
        shape_->type = title;
        shape_->expected = "an object";
        shape_->title = std::move(title);
        shape_->doc = std::move(doc);
    }

    template <class M>
    ObjectCodec& field(const std::string& name,
                       M T::*member,
                       const Codec<M>& codec,
                       const std::string& doc,
                       const FieldOptions& options = {}) {
        shape_->fields.push_back({.name = name,
                                  .alias = options.alias,
                                  .doc = doc,
                                  .required = options.required,
                                  .default_value = codec.write(T{}.*member),
                                  .default_text = options.default_text,
                                  .shape = codec.shape});
        read_.push_back([codec, member](Reader& reader, const Json& json, T& out) {
            codec.read(reader, json, out.*member);
        });
        write_.push_back([codec, member](const T& value) { return codec.write(value.*member); });
        return *this;
    }

    ObjectCodec& shorthand(Shorthand shorthand) {
        shape_->expected += ", or " + shorthand.doc;
        shape_->shorthands.push_back(std::move(shorthand));
        return *this;
    }

    /// `finish(reader, json, value)` fills in what depends on several fields and checks it. It gets
    /// the object as given (shorthand written out), to tell a default from a value.
    Codec<T> build(std::function<void(Reader&, const Json&, T&)> finish = {}) const {
        return {shape_,
                [shape = shape_, read = read_, finish](Reader& reader, const Json& given, T& out) {
                    const auto json = expanded(*shape, given);
                    if (!check_fields(reader, *shape, json)) {
                        return;
                    }
                    for (std::size_t i = 0; i < read.size(); ++i) {
                        const auto& field = shape->fields[i];
                        const auto* value = given_value(field, json);
                        const Reader::Scope scope(reader, field.name);
                        if (value != nullptr) {
                            read[i](reader, *value, out);
                        } else if (is_filled_in(field)) {
                            read[i](reader, Json::object(), out);
                        }
                    }
                    if (finish) {
                        finish(reader, json, out);
                    }
                },
                [shape = shape_, write = write_](const T& value) {
                    auto json = Json::object();
                    for (std::size_t i = 0; i < write.size(); ++i) {
                        json[shape->fields[i].name] = write[i](value);
                    }
                    return json;
                }};
    }

  private:
    std::shared_ptr<Shape> shape_;
    std::vector<std::function<void(Reader&, const Json&, T&)>> read_;
    std::vector<std::function<Json(const T&)>> write_;
};

}  // namespace dln::job
