// From a model's reply to prompts.

#include <algorithm>
#include <array>
#include <cctype>

#include "dln/text/utf8.hpp"
#include "dln/train/propose.hpp"

#include "train/word_changes.hpp"

namespace dln {
namespace {

void replace_text(std::string& text, std::string_view part) { text = std::string(trim(part)); }

// "Instruction:", "**New prompt 2:**" and the like before the prompt.
void strip_label(std::string& text) {
    static constexpr std::array<std::string_view, 9> kLabels{
        "instruction", "instructions",          "new instruction",     "prompt", "new prompt",
        "question",    "rewritten instruction", "the instruction was", "task"};
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon > 30) return;
    std::string label = lowered(trim(std::string_view(text).substr(0, colon)));
    const auto is_decoration = [](char c) { return c == '*' || c == '#' || c == ' '; };
    while (!label.empty() && is_decoration(label.front())) label.erase(0, 1);
    while (!label.empty() && (is_decoration(label.back()) ||
                              std::isdigit(static_cast<unsigned char>(label.back())) != 0)) {
        label.pop_back();
    }
    if (std::ranges::find(kLabels, label) == kLabels.end()) return;
    std::size_t rest = colon + 1;
    while (rest < text.size() && text[rest] == '*') ++rest;
    replace_text(text, std::string_view(text).substr(rest));
}

void strip_list_mark(std::string& text) {
    if (text.starts_with("\u2022")) {
        replace_text(text, std::string_view(text).substr(std::string_view("\u2022").size()));
        return;
    }
    std::size_t at = 0;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
    const bool is_mark = at < text.size() && (at > 0 ? text[at] == '.' || text[at] == ')'
                                                     : text[at] == '-' || text[at] == '*');
    // "2.5 stars" and "*very* good" are no list marks.
    if (is_mark && at + 1 < text.size() && text[at + 1] == ' ') {
        replace_text(text, std::string_view(text).substr(at + 1));
    }
}

void strip_quotes(std::string& text) {
    static constexpr std::array<std::string_view, 4> kQuotes{"\"", "'", "`", "**"};
    for (const std::string_view quote : kQuotes) {
        const std::size_t width = quote.size();
        if (text.size() > 2 * width && text.starts_with(quote) && text.ends_with(quote) &&
            text.find(quote, width) == text.size() - width) {
            replace_text(text, std::string_view(text).substr(width, text.size() - 2 * width));
        }
        // A reply that was cut may lack its closing quote.
        if (quote != "'" && text.starts_with(quote) &&
            text.find(quote, width) == std::string::npos) {
            text.erase(0, width);
        }
    }
    if (text.starts_with("\u201c") && text.ends_with("\u201d")) {
        replace_text(text, std::string_view(text).substr(3, text.size() - 6));
    }
}

// Lines that are only a code fence, and carriage returns.
std::string without_fences(std::string_view reply) {
    std::string kept;
    while (!reply.empty()) {
        const std::size_t end = std::min(reply.find('\n'), reply.size());
        const std::string_view line = trim(reply.substr(0, end));
        if (!line.starts_with("```")) {
            kept += line;
            kept += '\n';
        }
        reply.remove_prefix(std::min(end + 1, reply.size()));
    }
    return kept;
}

// "Sure! Here is the instruction:" says that the prompt comes next.
bool is_lead_in(std::string_view line) { return line.ends_with(':') && line.size() < 80; }

bool has_word(std::string_view text) {
    return std::ranges::any_of(text, [](unsigned char c) {
        // Bytes of letters beyond ASCII; 0xe2 begins general punctuation.
        return std::isalpha(c) != 0 || (c >= 0xc3 && c != 0xe2);
    });
}

// "1. ", "2) ", "- ", also within "**".
bool has_list_mark(std::string_view line) {
    if (line.starts_with("**")) line.remove_prefix(2);
    const std::string text(trim(line));
    std::string rest = text;
    strip_list_mark(rest);
    return rest != text;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        if (!line.empty()) lines.emplace_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

std::string prompt_from_reply(std::string_view reply) {
    const std::string whole = without_fences(reply);
    std::string_view rest = trim(whole);
    std::string text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        text = std::string(trim(rest.substr(0, end)));
        rest = trim(rest.substr(end));
        if (!is_lead_in(text)) break;
        text.clear();
    }
    // What follows the first line explains or gives examples.
    strip_label(text);
    strip_list_mark(text);
    strip_quotes(text);
    strip_label(text);
    strip_quotes(text);
    return has_word(text) ? text : std::string();
}

std::string word_from_reply(std::string_view reply) {
    constexpr std::size_t kMostWords = 3;
    constexpr std::size_t kMostBytes = 40;
    const std::string line = prompt_from_reply(reply);
    std::string_view rest = line;
    // "Better label: Movie"
    const std::size_t colon = rest.find(':');
    if (colon != std::string_view::npos && !core_of(rest.substr(colon)).empty()) {
        rest.remove_prefix(colon + 1);
    }
    rest = core_of(rest);
    std::size_t end = 0;
    for (std::size_t words = 0; words < kMostWords && end != std::string_view::npos; ++words) {
        end = rest.find(' ', end == 0 ? 0 : rest.find_first_not_of(' ', end));
    }
    const std::string_view word = core_of(rest.substr(0, end));
    const bool is_usable =
        word.size() <= kMostBytes && word.find_first_of("{}") == std::string_view::npos;
    return is_usable ? std::string(word) : std::string();
}

std::vector<std::string> prompts_from_reply(std::string_view reply, std::size_t most) {
    if (most == 1) {
        std::string prompt = prompt_from_reply(reply);
        return prompt.empty() ? std::vector<std::string>() : std::vector{std::move(prompt)};
    }
    std::vector<std::string> lines = lines_of(without_fences(reply));
    // Beside a list other lines introduce it or explain.
    if (std::ranges::any_of(lines, has_list_mark)) {
        std::erase_if(lines, [](const std::string& line) { return !has_list_mark(line); });
    }
    std::vector<std::string> prompts;
    for (const std::string& line : lines) {
        if (prompts.size() == most) break;
        // The second time for marks within quotes.
        std::string prompt = prompt_from_reply(prompt_from_reply(line));
        if (!prompt.empty()) prompts.push_back(std::move(prompt));
    }
    return prompts;
}

std::string folded_prompt(std::string_view prompt) {
    std::string folded;
    for (const char c : lowered(trim(prompt))) {
        const bool is_space = std::isspace(static_cast<unsigned char>(c)) != 0;
        if (is_space && !folded.empty() && folded.back() == ' ') continue;
        folded += is_space ? ' ' : c;
    }
    const std::size_t end = folded.find_last_not_of(" .,;:!?");
    // Of punctuation alone nothing would be left.
    return end == std::string::npos ? std::string(prompt) : folded.substr(0, end + 1);
}

}  // namespace dln
