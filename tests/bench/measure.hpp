#pragma once
// What the benchmarks share: clocks, medians, made-up text, and the one line that tools/bench reads for
// each figure.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace dln::bench {

[[nodiscard]] inline double wall_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// Processor seconds of this process. For one thread of computing it is what wall time would be on a
/// machine that nobody else uses.
[[nodiscard]] inline double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Pre: not empty.
[[nodiscard]] inline double median(std::vector<double> values) {
    const std::size_t half = values.size() / 2;
    std::ranges::sort(values);
    return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

/// What a figure must be; neither: for information.
struct Target {
    std::optional<double> at_least;
    std::optional<double> at_most;
};

/// Prints "figure", name, value, target and verdict, separated by tabs.
inline void print_figure(std::string_view name,
                         double value,
                         std::string_view unit,
                         const Target& target = {}) {
    std::string wanted = "-";
    std::string verdict = "-";
    const auto judge = [&](std::string_view sign, double limit, bool met) {
        wanted = fmt::format("{} {:g}{}", sign, limit, unit);
        verdict = met ? "met" : "MISSED";
    };
    if (target.at_least) judge(">=", *target.at_least, value >= *target.at_least);
    if (target.at_most) judge("<", *target.at_most, value < *target.at_most);
    fmt::print("figure\t{}\t{:.4g}{}\t{}\t{}\n", name, value, unit, wanted, verdict);
    std::fflush(stdout);
}

/// Sentences of exactly `words` words by rules and word lists: number `index` of an endless list. Only
/// their length and their variety matter here.
[[nodiscard]] inline std::string sentence(std::uint64_t index, std::size_t words) {
    static constexpr std::string_view kWords[] = {
        "the",    "patient", "gardener", "above",   "seven",  "yellow",  "houses",  "quietly",
        "mended", "a",       "broken",   "lantern", "before", "evening", "while",   "rain",
        "fell",   "on",      "distant",  "hills",   "and",    "nobody",  "noticed", "how",
        "slowly", "river",   "carried",  "old",     "boats",  "toward",  "harbour", "with"};
    constexpr std::size_t kCount = std::size(kWords);
    std::string text;
    std::uint64_t state = 0x9e3779b97f4a7c15ULL * (index + 1);
    for (std::size_t i = 0; i < words; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        if (!text.empty()) text += ' ';
        text += kWords[(state >> 33) % kCount];
    }
    return text;
}

/// A short word that no other index below 100,000 gives.
[[nodiscard]] inline std::string word(std::uint64_t index) {
    static constexpr std::string_view kStems[] = {"glad", "grim", "brave", "foul", "kind",
                                                  "rude", "calm", "bleak", "warm", "harsh"};
    static constexpr std::string_view kEnds[] = {"ly",  "ness", "er",  "est",  "ish",
                                                 "ing", "ed",   "ful", "less", "some"};
    std::string text(kStems[index % 10]);
    text += kEnds[index / 10 % 10];
    if (index >= 100) text += std::to_string(index / 100);
    return text;
}

/// What main returns: `body`'s result, or 1 and the reason when it throws.
template <class Body>
int run_main(std::string_view name, const Body& body) {
    try {
        return body();
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return 1;
    }
}

}  // namespace dln::bench
