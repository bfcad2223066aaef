#include "dln/text/compare.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

constexpr auto npos = std::string_view::npos;

std::string_view first_line(std::string_view text) {
    const auto trimmed = trim(text);
    return trim(trimmed.substr(0, trimmed.find('\n')));
}

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (folded(c) >= 'a' && folded(c) <= 'z') || c == '_'; }

std::size_t digits_at(std::string_view text, std::size_t at) {
    std::size_t n = 0;
    while (at + n < text.size() && is_digit(text[at + n])) {
        ++n;
    }
    return n;
}

/// A number in canonical form (no sign +, separators, leading or trailing zeros) and where it ends.
/// The value is empty for what looks like a number but is none: 1.2.3, 1e5, x1.
struct Number {
    std::string value;
    std::size_t end = 0;
};

/// Digits from `at` with thousands separators taken out; moves `at` behind them.
std::string whole_part(std::string_view text, std::size_t& at) {
    auto n = digits_at(text, at);
    std::string digits(text.substr(at, n));
    at += n;
    // 1,234,567 is one number; 1,23 and 1234,567 are lists
    auto grouped = digits;
    auto end = at;
    while (n <= 3 && end < text.size() && text[end] == ',' && digits_at(text, end + 1) == 3) {
        grouped += text.substr(end + 1, 3);
        end += 4;
    }
    if (end != at && !(end < text.size() && text[end] == ',' && digits_at(text, end + 1) > 0)) {
        at = end;
        return grouped;
    }
    return digits;
}

bool is_negative(std::string_view text, std::size_t begin) {
    constexpr std::string_view kMinus = "\xE2\x88\x92";  // U+2212
    std::size_t sign = npos;
    if (begin > 0 && text[begin - 1] == '-') {
        sign = begin - 1;
    } else if (begin >= kMinus.size() &&
               text.substr(begin - kMinus.size(), kMinus.size()) == kMinus) {
        sign = begin - kMinus.size();
    }
    if (sign == npos) {
        return false;
    }
    // 10-5 and (2)-5 subtract
    return sign == 0 || !(is_word(text[sign - 1]) || text[sign - 1] == ')');
}

/// The number that begins at `begin`, a digit or a "." before a digit.
Number read_number(std::string_view text, std::size_t begin) {
    auto at = begin;
    auto whole = whole_part(text, at);
    std::string fraction;
    if (at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1])) {
        const auto n = digits_at(text, at + 1);
        fraction = std::string(text.substr(at + 1, n));
        at += 1 + n;
    }
    const auto next = [&](std::size_t i) { return at + i < text.size() ? text[at + i] : '\0'; };
    const bool version = next(0) == '.' && is_digit(next(1));
    const bool power =
        folded(next(0)) == 'e' &&
        (is_digit(next(1)) || ((next(1) == '-' || next(1) == '+') && is_digit(next(2))));
    if (version || power) {
        while (at < text.size() && (is_word(text[at]) || text[at] == '.')) {
            ++at;
        }
        return {.value = {}, .end = at};
    }
    if (begin > 0 && is_word(text[begin - 1])) {
        return {.value = {}, .end = at};
    }
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    std::string value = whole.empty() ? "0" : whole;
    if (!fraction.empty()) {
        value += "." + fraction;
    }
    return {value != "0" && is_negative(text, begin) ? "-" + value : value, at};
}

/// The first number at or after `at`; moves `at` behind it.
std::optional<Number> next_number(std::string_view text, std::size_t& at) {
    for (; at < text.size(); ++at) {
        const bool fraction = text[at] == '.' && at + 1 < text.size() && is_digit(text[at + 1]);
        if (is_digit(text[at]) || fraction) {
            auto number = read_number(text, at);
            at = number.end;
            return number;
        }
    }
    return std::nullopt;
}

bool has_blank_line_before_text(std::string_view block) {
    for (auto at = block.find('\n'); at != npos; at = block.find('\n', at + 1)) {
        const auto rest = block.substr(at + 1);
        const auto line = rest.substr(0, rest.find('\n'));
        if (trim(line).empty() && !trim(rest).empty()) {
            return true;
        }
    }
    return false;
}

}  // namespace

bool exact_match(std::string_view output, std::string_view target, bool ignore_case) {
    const auto same = [&](char a, char b) {
        return a == b || (ignore_case && folded(a) == folded(b));
    };
    const auto given = first_line(output);
    const auto wanted = first_line(target);
    return std::equal(given.begin(), given.end(), wanted.begin(), wanted.end(), same);
}

bool number_present(std::string_view output, std::string_view target) {
    std::size_t at = 0;
    const auto wanted = next_number(target, at);
    if (!wanted || wanted->value.empty()) {
        return false;
    }
    at = 0;
    while (const auto number = next_number(output, at)) {
        if (number->value == wanted->value) {
            return true;
        }
    }
    return false;
}

std::string_view strip_options(std::string_view text) {
    constexpr std::string_view kHeading = "Options:";
    for (auto at = text.rfind(kHeading); at != npos;
         at = at == 0 ? npos : text.rfind(kHeading, at - 1)) {
        const auto block = text.substr(at);
        const auto heading = block.substr(0, block.find('\n'));
        const bool own_line = (at == 0 || text[at - 1] == '\n') && trim(heading) == kHeading;
        if (own_line) {
            if (has_blank_line_before_text(block)) {
                return text;
            }
            const auto kept = text.substr(0, at);
            return kept.substr(0, kept.find_last_not_of(" \t\r\n") + 1);
        }
    }
    return text;
}

}  // namespace dln
