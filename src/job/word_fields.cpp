// The words of a layer's templates: a part of the table in fields.cpp.

#include <algorithm>

#include "dln/text/mustache.hpp"
#include "dln/text/utf8.hpp"

#include "job/fields.hpp"

namespace dln::job {
namespace {

bool is_word_name(const std::string& name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    const auto may_follow = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
    return !name.empty() && is_letter(name.front()) && std::ranges::all_of(name, may_follow);
}

void check_alternatives(Reader& reader, const std::vector<std::string>& alternatives) {
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
        const auto first = std::ranges::find(alternatives, alternatives[i]) - alternatives.begin();
        if (static_cast<std::size_t>(first) == i) continue;
        reader.fail(fmt::format("\"{}\" is alternative {} already. Each may occur once.",
                                printable(alternatives[i], 60), first),
                    {std::to_string(i)});
    }
}

// Nothing is said of templates with a fault of their own.
bool is_used(const WordSpec& word, const LayerSpec& layer) {
    return std::ranges::any_of(layer.templates, [&](const TemplateSpec& entry) {
        try {
            return Mustache(entry.text).names().contains(word_variable(word));
        } catch (const TemplateError&) {
            return true;
        }
    });
}

}  // namespace

Codec<std::vector<WordSpec>> word_fields() {
    const auto alternatives = list(text(), Brackets::optional, 1);
    auto shape = std::make_shared<Shape>();
    shape->type = "object of lists of text";
    shape->expected = "an object that names words, each with a list of texts";
    const Json one{{"type", "string"}};
    const Json several{{"type", "array"}, {"items", one}, {"minItems", 1}, {"uniqueItems", true}};
    shape->schema = {{"type", "object"},
                     {"propertyNames", {{"pattern", "^[a-z_][a-z0-9_]*$"}}},
                     {"additionalProperties", {{"anyOf", Json::array({one, several})}}}};
    return {shape,
            [=](Reader& reader, const Json& json, std::vector<WordSpec>& out) {
                if (!json.is_object()) return reader.fail_type(*shape, json);
                out.clear();
                for (const auto& [name, value] : json.items()) {
                    const Reader::Scope scope(reader, name);
                    if (!is_word_name(name)) {
                        reader.fail(fmt::format(
                            "\"{}\" cannot name a word. Expected a-z, 0-9 and _, and no digit "
                            "first.",
                            printable(name, 60)));
                        continue;
                    }
                    WordSpec& word = out.emplace_back(WordSpec{.name = name, .alternatives = {}});
                    alternatives.read(reader, value, word.alternatives);
                    check_alternatives(reader, word.alternatives);
                }
            },
            [=](const std::vector<WordSpec>& words) {
                auto json = Json::object();
                for (const WordSpec& word : words) {
                    json[word.name] = alternatives.write(word.alternatives);
                }
                return json;
            }};
}

void check_templates(Reader& reader, const LayerSpec& layer) {
    Offered offered{.texts = {"prompt", "input", "examples"}, .lists = {}, .inside = {}};
    for (const WordSpec& word : layer.words) offered.texts.push_back(word_variable(word));
    for (std::size_t t = 0; t < layer.templates.size(); ++t) {
        // A missing or empty text was noted as such.
        if (layer.templates[t].text.empty()) continue;
        const Reader::Scope list(reader, "templates");
        const Reader::Scope entry(reader, std::to_string(t));
        check_template(reader, "text", layer.templates[t].text, offered, "input");
    }
    for (const WordSpec& word : layer.words) {
        if (is_used(word, layer)) continue;
        reader.fail(fmt::format("no template of the layer shows it. Expected {{{{{}}}}} in one of "
                                "them, or no such word.",
                                word_variable(word)),
                    {"words", word.name});
    }
}

}  // namespace dln::job
