#include "job/file_codecs.hpp"

#include "dln/text/utf8.hpp"

namespace dln::job {
namespace {

/// A codec that reads as text() does and then maps what it read by `change`, which may note faults.
Codec<std::string> changed_text(
    const std::string& type,
    const std::string& range,
    const std::function<std::string(Reader&, const std::string&)>& change) {
    const auto inner = text();
    const auto shape = std::make_shared<Shape>(*inner.shape);
    shape->type = type;
    shape->range = range;
    return {shape,
            [=](Reader& reader, const Json& json, std::string& out) {
                if (!json.is_string()) {
                    return reader.fail_type(*shape, json);
                }
                out = change(reader, json.get<std::string>());
            },
            inner.write};
}

std::string without_last_line_break(std::string text) {
    if (text.ends_with('\n')) {
        text.pop_back();
        if (text.ends_with('\r')) {
            text.pop_back();
        }
    }
    return text;
}

}  // namespace

Codec<std::string> input_path() {
    return changed_text("path", "an existing file", [](Reader& reader, const std::string& path) {
        return reader.resolve_existing(path);
    });
}

Codec<std::string> optional_input_path() {
    return changed_text("path", "an existing file, or empty",
                        [](Reader& reader, const std::string& path) {
                            return path.empty() ? path : reader.resolve_existing(path);
                        });
}

Codec<std::string> output_path() {
    return changed_text("path", "", [](Reader& reader, const std::string& path) {
        if (path.empty()) {
            reader.fail("the path is empty. Expected the path of a directory.");
            return path;
        }
        return reader.resolve(path);
    });
}

Codec<std::string> model_reference() {
    return changed_text("name or path", "", [](Reader& reader, const std::string& model) {
        const bool is_path = model.find('/') != std::string::npos || model.ends_with(".gguf");
        return is_path ? reader.resolve(model) : model;
    });
}

Codec<std::string> file_name() {
    return changed_text(
        "text", "usable as a directory's name", [](Reader& reader, const std::string& name) {
            constexpr std::size_t kLongest = 200;
            const bool is_usable = !name.empty() && name != "." && name != ".." &&
                                   name.find('/') == std::string::npos && name.size() <= kLongest &&
                                   printable(name, name.size()) == name;
            if (!is_usable) {
                reader.fail(
                    fmt::format("\"{}\" cannot name a directory. Expected 1 to {} bytes "
                                "without \"/\" and control characters.",
                                printable(name, 60), kLongest));
            }
            return name;
        });
}

Codec<std::string> text_or_file() {
    auto codec = text();
    const auto shape = std::make_shared<Shape>();
    shape->type = "text or {\"file\": path}";
    shape->expected = "a text or {\"file\": path}";
    shape->schema = {
        {"anyOf",
         Json::array({Json{{"type", "string"}},
                      Json{{"type", "object"},
                           {"properties",
                            {{"file",
                              {{"type", "string"},
                               {"description",
                                "Path of a UTF-8 text file; its last line break is cut."}}}}},
                           {"required", Json::array({"file"})},
                           {"additionalProperties", false}}})}};
    codec.shape = shape;
    codec.read = [=](Reader& reader, const Json& json, std::string& out) {
        if (json.is_string()) {
            out = json.get<std::string>();
        } else if (json.is_object() && json.size() == 1 && json.contains("file") &&
                   json["file"].is_string()) {
            out = without_last_line_break(reader.read_text(json["file"].get<std::string>()));
        } else {
            reader.fail_type(*shape, json);
        }
    };
    return codec;
}

Codec<std::size_t> all_or_count() {
    const auto count = integer<std::size_t>(1);
    auto shape = std::make_shared<Shape>(*count.shape);
    shape->type = "integer or \"all\"";
    shape->expected += " or \"all\"";
    shape->schema = {{"anyOf", Json::array({Json{{"const", "all"}}, count.shape->schema})}};
    return {shape,
            [=](Reader& reader, const Json& json, std::size_t& out) {
                if (json == "all") {
                    out = 0;
                } else if (json.is_number()) {
                    const auto value = read_integer(reader, json, *shape, 1,
                                                    std::numeric_limits<std::size_t>::max());
                    out = value.value_or(out);
                } else {
                    reader.fail_type(*shape, json);
                }
            },
            [](const std::size_t& value) { return value == 0 ? Json("all") : Json(value); }};
}

Codec<std::vector<std::pair<std::string, std::string>>> renamings() {
    using Renamings = std::vector<std::pair<std::string, std::string>>;
    auto shape = std::make_shared<Shape>();
    shape->type = "object of texts";
    shape->expected = "an object of texts";
    shape->schema = {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    return {shape,
            [=](Reader& reader, const Json& json, Renamings& out) {
                if (!json.is_object()) {
                    return reader.fail_type(*shape, json);
                }
                out.clear();
                const auto entry = text();
                for (const auto& [from, to] : json.items()) {
                    const Reader::Scope scope(reader, from);
                    entry.read(reader, to, out.emplace_back(from, "").second);
                }
            },
            [](const Renamings& renamings) {
                auto json = Json::object();
                for (const auto& [from, to] : renamings) {
                    json[from] = to;
                }
                return json;
            }};
}

}  // namespace dln::job
