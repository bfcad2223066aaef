#include "train/prompt_edits.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

constexpr std::array<std::string_view, 14> kConjunctions{
    "and",   "or",   "but",     "then",   "because", "if",    "while",
    "since", "when", "whereas", "unless", "so",      "until", "although"};
constexpr std::string_view kPunctuation = ".,;:!?";
// Their scripts put no white space behind them.
constexpr std::array<std::string_view, 6> kWidePunctuation{"\u3002", "\uff0c", "\uff1b",
                                                           "\uff1a", "\uff01", "\uff1f"};

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

bool is_conjunction(std::string_view word) {
    return std::ranges::find(kConjunctions, lowered(word)) != kConjunctions.end();
}

bool ends_with_wide_punctuation(std::string_view text) {
    return std::ranges::any_of(kWidePunctuation, [&](auto mark) { return text.ends_with(mark); });
}

// What is left of a list or a half sentence: ", " at the end, or a small letter at the beginning of a prompt that
// had a capital one.
std::string tidied(const std::vector<std::string>& phrases, std::string_view model) {
    std::string text;
    for (const std::string& phrase : phrases) {
        const std::string_view piece = trim(phrase);
        if (piece.empty()) continue;
        if (!text.empty() && !is_space(text.back()) && is_ascii(text.back())) text += ' ';
        // White space that is more than a blank, such as a line break, stays.
        text += piece;
        text += std::string_view(phrase).substr(
            static_cast<std::size_t>(piece.data() - phrase.data()) + piece.size());
    }
    text = std::string(trim(text));
    const std::string_view like = trim(model);
    if (!text.empty() && std::string_view(",;:").find(text.back()) != std::string_view::npos) {
        text.pop_back();
        if (!like.empty() && std::string_view(".!?").find(like.back()) != std::string_view::npos) {
            text += like.back();
        }
    }
    if (!text.empty() && !like.empty() && std::isupper(static_cast<unsigned char>(like.front()))) {
        text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    }
    return text;
}

// Phrases of `others` that `own` does not have.
std::vector<std::string> new_phrases(const std::vector<std::string>& own,
                                     const std::vector<std::string>& others) {
    std::vector<std::string> known;
    for (const std::string& phrase : own) known.push_back(lowered(trim(phrase)));
    std::vector<std::string> found;
    for (const std::string& other : others) {
        for (std::string& phrase : phrases_of(other)) {
            const std::string text = lowered(trim(phrase));
            if (text.empty() || std::ranges::find(known, text) != known.end()) continue;
            known.push_back(text);
            found.push_back(std::move(phrase));
        }
    }
    return found;
}

}  // namespace

std::vector<std::string> phrases_of(std::string_view prompt) {
    std::vector<std::string> phrases;
    std::string phrase;
    for (std::size_t at = 0; at < prompt.size();) {
        // A word with what stands behind it up to the next; a wide mark ends a word too.
        std::size_t end = at;
        while (end < prompt.size() && !is_space(prompt[end])) {
            ++end;
            if (ends_with_wide_punctuation(prompt.substr(at, end - at))) break;
        }
        const std::string_view word = prompt.substr(at, end - at);
        while (end < prompt.size() && is_space(prompt[end])) ++end;
        const bool has_words = !trim(phrase).empty();
        if (has_words && is_conjunction(word)) phrases.push_back(std::exchange(phrase, {}));
        phrase += prompt.substr(at, end - at);
        at = end;
        const bool is_closed =
            !word.empty() && (kPunctuation.find(word.back()) != std::string_view::npos ||
                              ends_with_wide_punctuation(word));
        if (is_closed) phrases.push_back(std::exchange(phrase, {}));
    }
    if (!phrase.empty()) phrases.push_back(std::move(phrase));
    return phrases;
}

std::string edited_prompt(const std::string& prompt,
                          const std::vector<std::string>& others,
                          CounterRng& random) {
    enum class Edit { remove, swap, add };
    std::vector<std::string> phrases = phrases_of(prompt);
    const std::vector<std::string> found = new_phrases(phrases, others);
    std::vector<Edit> possible;
    if (phrases.size() > 1) possible = {Edit::remove, Edit::swap};
    if (!found.empty()) possible.push_back(Edit::add);
    if (possible.empty()) return {};
    const auto place = [&](std::size_t bound) {
        return static_cast<std::ptrdiff_t>(random.below(bound));
    };
    switch (possible[random.below(possible.size())]) {
        case Edit::remove:
            phrases.erase(phrases.begin() + place(phrases.size()));
            break;
        case Edit::swap: {
            const auto one = place(phrases.size());
            const auto step = 1 + place(phrases.size() - 1);
            const auto size = static_cast<std::ptrdiff_t>(phrases.size());
            std::swap(*(phrases.begin() + one), *(phrases.begin() + (one + step) % size));
            break;
        }
        case Edit::add: {
            const std::string& phrase = found[random.below(found.size())];
            phrases.insert(phrases.begin() + place(phrases.size() + 1), phrase);
            break;
        }
    }
    return tidied(phrases, prompt);
}

std::string crossed_prompts(const std::string& one, const std::string& other, CounterRng& random) {
    const bool is_turned = random.below(2) == 1;
    const std::string& front = is_turned ? other : one;
    std::vector<std::string> phrases = phrases_of(front);
    const std::vector<std::string> back = phrases_of(is_turned ? one : other);
    if (phrases.empty() || back.empty()) return std::string(trim(one + other));
    phrases.resize(1 + random.below(phrases.size()));
    const auto last = static_cast<std::ptrdiff_t>(1 + random.below(back.size()));
    phrases.insert(phrases.end(), back.end() - last, back.end());
    return tidied(phrases, front);
}

}  // namespace dln
