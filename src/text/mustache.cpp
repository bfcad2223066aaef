#include "dln/text/mustache.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <kainjow/mustache.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

/// A tag in the template's text; [begin, end) widens to the whole line when it stands alone on it.
struct Tag {
    char kind = 'v';  // v variable, # section, ^ inverted section, / end
    std::string name;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t line = 1;
    std::size_t column = 1;
};

[[noreturn]] void fail(const Tag& tag, const std::string& what) {
    throw TemplateError(fmt::format("line {}, column {}: {}", tag.line, tag.column, what));
}

bool is_plain_name(std::string_view text) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    const auto letter_or_digit = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
    return !text.empty() && letter(text.front()) &&
           std::all_of(text.begin(), text.end(), letter_or_digit);
}

// "name" or "group.name".
bool is_name(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return is_plain_name(text);
    return is_plain_name(text.substr(0, dot)) && is_plain_name(text.substr(dot + 1));
}

// The library takes a dot for a step into an object.
std::string key_of(std::string name) {
    std::replace(name.begin(), name.end(), '.', ':');
    return name;
}

void refuse_unsupported(const Tag& tag, char first) {
    const char* const kAllowed = "Only {{name}}, {{#name}}, {{^name}} and {{/name}} can be used";
    switch (first) {
        case '{':
            fail(tag,
                 fmt::format("{{{{{{name}}}}}} is not supported. {}; nothing is escaped anyway.",
                             kAllowed));
        case '&':
            fail(tag, fmt::format("{{{{&name}}}} is not supported. {}; nothing is escaped anyway.",
                                  kAllowed));
        case '>':
            fail(tag, fmt::format("partials ({{{{>name}}}}) are not supported. {}.", kAllowed));
        case '=':
            fail(tag, fmt::format("changing the delimiters is not supported. {}.", kAllowed));
        case '!':
            fail(tag, fmt::format("comments ({{{{! }}}}) are not supported. {}.", kAllowed));
        default:
            return;
    }
}

/// The tag that begins at text[begin], which is "{{".
Tag read_tag(std::string_view text, std::size_t begin) {
    Tag tag;
    tag.begin = begin;
    const auto before = text.substr(0, begin);
    tag.line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const auto line_end = before.rfind('\n');
    tag.column = begin - (line_end == std::string_view::npos ? 0 : line_end + 1) + 1;
    const auto close = text.find("}}", begin + 2);
    refuse_unsupported(tag, begin + 2 < text.size() ? text[begin + 2] : ' ');
    if (close == std::string_view::npos) {
        fail(tag, "this {{ has no }}.");
    }
    tag.end = close + 2;
    auto body = trim(text.substr(begin + 2, close - begin - 2));
    refuse_unsupported(tag, body.empty() ? ' ' : body.front());
    if (!body.empty() && (body.front() == '#' || body.front() == '^' || body.front() == '/')) {
        tag.kind = body.front();
        body = trim(body.substr(1));
    }
    if (!is_name(body)) {
        fail(tag, fmt::format("\"{}\" is not a name. Expected letters, digits and _, and a dot "
                              "between two at most.",
                              printable(body, 40)));
    }
    tag.name = std::string(body);
    return tag;
}

/// A section tag that is alone on its line swallows the line, as Mustache has it.
void widen_to_line(std::string_view text, Tag& tag) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    auto first = tag.begin;
    while (first > 0 && blank(text[first - 1])) {
        --first;
    }
    auto last = tag.end;
    while (last < text.size() && blank(text[last])) {
        ++last;
    }
    if (text.substr(last, 2) == "\r\n") {
        last += 2;
    } else if (last < text.size() && text[last] == '\n') {
        last += 1;
    } else if (last < text.size()) {
        return;
    }
    if (first == 0 || text[first - 1] == '\n') {
        tag.begin = first;
        tag.end = last;
    }
}

std::vector<Tag> scan(std::string_view text) {
    std::vector<Tag> tags;
    for (auto at = text.find("{{"); at != std::string_view::npos;) {
        tags.push_back(read_tag(text, at));
        at = text.find("{{", tags.back().end);
    }
    for (auto& tag : tags) {
        if (tag.kind != 'v') {
            widen_to_line(text, tag);
        }
    }
    return tags;
}

/// Checks that sections nest, and lists what is used where.
std::vector<TemplateUse> collect_uses(const std::vector<Tag>& tags) {
    std::vector<TemplateUse> uses;
    std::vector<const Tag*> open;
    for (const auto& tag : tags) {
        if (tag.kind == '/') {
            if (open.empty() || open.back()->name != tag.name) {
                fail(tag, open.empty()
                              ? fmt::format("{{{{/{}}}}} closes no section.", tag.name)
                              : fmt::format("{{{{/{}}}}} found where {{{{/{}}}}} should be.",
                                            tag.name, open.back()->name));
            }
            open.pop_back();
            continue;
        }
        TemplateUse use{.name = tag.name,
                        .section = tag.kind != 'v',
                        .inside = {},
                        .line = tag.line,
                        .column = tag.column};
        for (const auto* section : open) {
            if (section->kind == '#') {
                use.inside.push_back(section->name);
            }
        }
        uses.push_back(std::move(use));
        if (tag.kind != 'v') {
            open.push_back(&tag);
        }
    }
    if (!open.empty()) {
        fail(*open.back(), fmt::format("section \"{0}\" has no {{{{/{0}}}}}.", open.back()->name));
    }
    return uses;
}

using kainjow::mustache::data;

/// An empty text counts as false, so that {{#name}} and {{^name}} tell whether it is there.
data text_value(const std::string& text) { return text.empty() ? data(false) : data(text); }

std::size_t common_prefix(std::string_view a, std::string_view b) {
    const auto size = std::min(a.size(), b.size());
    const auto differs =
        std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin());
    return static_cast<std::size_t>(differs.first - a.begin());
}

}  // namespace

Mustache::Mustache(std::string_view text) {
    const auto tags = scan(text);
    uses_ = collect_uses(tags);
    for (const auto& use : uses_) {
        names_.insert(use.name);
    }
    // The library drops lines whose *rendered* content is blank, and keeps the line of an empty
    // section. It therefore sees only the tags, on one line that is never blank: literal text comes
    // in as values.
    logic_ = ".";
    std::size_t at = 0;
    const auto add_literal = [&](std::size_t end) {
        if (end > at) {
            logic_ += fmt::format("{{{{{}}}}}", literals_.size());
            literals_.emplace_back(text.substr(at, end - at));
        }
    };
    for (const auto& tag : tags) {
        add_literal(tag.begin);
        logic_ += fmt::format("{{{{{}{}}}}}", tag.kind == 'v' ? "" : std::string(1, tag.kind),
                              key_of(tag.name));
        at = tag.end;
    }
    add_literal(text.size());
}

std::string Mustache::render(const TemplateValues& values) const {
    kainjow::mustache::mustache engine(logic_);
    DLN_ASSERT(engine.is_valid(), "{}", engine.error_message());
    engine.set_custom_escape([](const std::string& text) { return text; });
    data root(data::type::object);
    for (std::size_t i = 0; i < literals_.size(); ++i) {
        root.set(fmt::format("{}", i), data(literals_[i]));
    }
    for (const auto& [name, text] : values.texts) {
        root.set(key_of(name), text_value(text));
    }
    for (const auto& [name, entries] : values.lists) {
        data list(data::type::list);
        for (const auto& entry : entries) {
            data item(data::type::object);
            for (const auto& [key, text] : entry) {
                item.set(key, text_value(text));
            }
            list.push_back(item);
        }
        root.set(name, list);
    }
    return engine.render(root).substr(1);
}

SplitText Mustache::render_split(const TemplateValues& values, const std::string& variable) const {
    SplitText split{.text = render(values)};
    // Two values that differ in their first byte part exactly where the variable enters.
    TemplateValues other = values;
    other.texts[variable] = "\x01";
    const auto first = render(other);
    other.texts[variable] = "\x02";
    split.fixed_bytes = common_prefix(first, render(other));
    const auto decides_a_section = [&](const TemplateUse& use) {
        return use.section && use.name == variable;
    };
    if (std::any_of(uses_.begin(), uses_.end(), decides_a_section)) {
        other.texts[variable].clear();
        split.fixed_bytes = std::min(split.fixed_bytes, common_prefix(first, render(other)));
    }
    return split;
}

}  // namespace dln
