#pragma once
// What the codecs of templates that a model is asked with have in common: proposals and posterior samples.

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

#include "job/checks.hpp"
#include "job/object_codec.hpp"

namespace dln::job {

/// Adds name, text, messages and chat, and the name alone as shorthand. `messages` says how they are used.
template <class Template>
void add_template_fields(ObjectCodec<Template>& spec, const std::string& messages) {
    spec.shorthand(text_shorthand("name", "a text, which is the `name` of a built-in template"))
        .field("name", &Template::name, non_empty_text(),
               "For reports, unique; without `text` that of a built-in template.",
               {.default_text = "`p1`, `p2`, ... by position"})
        .field("text", &Template::text, text(), "The template.",
               {.default_text = "the built-in template's"})
        .field("messages", &Template::messages, list(text(), Brackets::optional), messages,
               {.default_text = "the built-in template's"})
        .field("chat", &Template::chat, boolean(),
               "Send it as one user message of the model's own chat template.");
}

/// Notes a fault when `name` is none of `known`; `kind`: "proposal".
inline void check_is_built_in(Reader& reader,
                              const std::string& name,
                              const std::vector<std::string>& known,
                              const std::string& kind) {
    if (std::ranges::find(known, name) != known.end()) return;
    reader.fail(fmt::format("\"{}\" is no built-in {} template. Expected one of: {}; or an object "
                            "with \"text\".{}",
                            printable(name, 60), kind, quoted_list(known), hint_for(name, known)),
                {"name"});
}

}  // namespace dln::job
