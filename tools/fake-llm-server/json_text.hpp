#pragma once
// JSON written straight to text. For replies with several numbers a token: made as a DOM first they took most
// of the server's time. Commas and braces are the writer's business, numbers and texts are done here.

#include <cstdint>
#include <string>
#include <string_view>

namespace fake_llm {

/// `text` in quotes, escaped. A byte that is no UTF-8, as a token may be a part of a character, becomes U+FFFD.
[[nodiscard]] std::string json_quoted(std::string_view text);

/// The shortest text that reads back as `value`; never that of an integer. Pre: `value` is finite.
void append_number(std::string& text, double value);
void append_number(std::string& text, std::int64_t value);

/// "[", what `write` appends for each of `list`, separated by commas, and "]".
template <typename List, typename Write>
void append_list(std::string& text, const List& list, const Write& write) {
    text += '[';
    const char* separator = "";
    for (const auto& one : list) {
        text += separator;
        separator = ",";
        write(one);
    }
    text += ']';
}

}  // namespace fake_llm
