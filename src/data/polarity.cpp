#include "dln/data/polarity.hpp"

#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "line_reader.hpp"

namespace dln {
namespace {

constexpr double kLeastStrength = 1.5;
constexpr std::size_t kLeastLetters = 4;

/// `token` in lower case when it is made of ASCII letters only and long enough.
std::optional<std::string> word_of(std::string_view token) {
    std::string word;
    for (const char c : token) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (lower < 'a' || lower > 'z') {
            return std::nullopt;
        }
        word += lower;
    }
    return word.size() >= kLeastLetters ? std::optional(word) : std::nullopt;
}

double mean_of(std::string_view line, const LineReader& file) {
    const auto begin = line.find('\t') + 1;
    const auto text = line.substr(begin, line.find('\t', begin) - begin);
    double mean = 0.0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mean);
    if (begin == 0 || text.empty() || parsed.ec != std::errc() ||
        parsed.ptr != text.data() + text.size()) {
        throw UsageError(fmt::format(
            "{}:{}: no line of the VADER lexicon: \"{}\"; a token, a tab and a mean rating "
            "are needed",
            file.path(), file.line_number(), printable(line, 60)));
    }
    return mean;
}

}  // namespace

Dataset read_polarity_words(const std::string& path) {
    LineReader file(path);
    std::map<std::string, double> means;
    for (std::string line; file.next(line);) {
        if (is_blank(line)) {
            continue;
        }
        const double mean = mean_of(line, file);
        if (const auto word = word_of(std::string_view(line).substr(0, line.find('\t')))) {
            means.emplace(*word, mean);
        }
    }
    Dataset words;
    for (const auto& [word, mean] : means) {
        if (mean >= kLeastStrength || mean <= -kLeastStrength) {
            words.add(word, mean > 0.0 ? "positive" : "negative");
        }
    }
    if (words.empty()) {
        throw UsageError(
            fmt::format("{}: holds no word with a strong rating; the VADER lexicon is needed "
                        "(vader_lexicon.txt)",
                        path));
    }
    return words;
}

std::vector<Part> polarity_parts(const std::string& lexicon_path) {
    const auto words = read_polarity_words(lexicon_path);
    return split_dataset(words, {.parts = {{"train", 200}, {"dev", 100}, {"test", 400}},
                                 .balanced = true,
                                 .seed = kPolaritySeed})
        .parts;
}

}  // namespace dln
