#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "dln/error.hpp"

#include "generators.hpp"

// Every number of a question and of its answer is of the part, so that no number of test is seen in training.

namespace dln {
namespace {

constexpr int kLargestTerm = 99;
constexpr int kLargestInWords = 999;

enum Operation : std::size_t { sum = 0, difference = 1 };

constexpr std::array<std::array<std::string_view, 6>, 2> kArithmetic{{
    {"What is {} plus {}?", "Calculate {} + {}.", "Add {} and {}.",
     "Work out the sum of {} and {}.", "How much is {} + {}?", "Give the result of {} plus {}."},
    {"What is {} minus {}?", "Calculate {} - {}.",
     "Take away the second number from the first: {}, {}.", "Work out the difference of {} and {}.",
     "How much is {} - {}?", "Give the result of {} minus {}."},
}};

constexpr std::array<std::array<std::string_view, 6>, 2> kInWords{{
    {"Write the number {} in words.", "How is {} spelled out in words?", "Put {} into words.",
     "Spell out this number: {}", "Read this number out: {}", "Say {} in words."},
    {"Write this number in digits: {}", "Which number is \"{}\"?", "Turn the words into digits: {}",
     "Give \"{}\" as a number.", "What does {} look like in digits?",
     "Write {} as a number in digits."},
}};

std::string number_in_words(int number) {
    constexpr std::array<std::string_view, 20> kSmall{
        "zero",     "one",     "two",     "three",     "four",     "five",    "six",
        "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
        "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    constexpr std::array<std::string_view, 10> kTens{
        "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
    DLN_ASSERT(number >= 0 && number <= kLargestInWords, "{} in words", number);
    const auto hundreds = static_cast<std::size_t>(number / 100);
    const auto rest = static_cast<std::size_t>(number % 100);
    std::string words = hundreds > 0 ? fmt::format("{} hundred", kSmall[hundreds]) : "";
    if (hundreds > 0 && rest > 0) {
        words += ' ';
    }
    if (rest < kSmall.size()) {
        return rest > 0 || hundreds == 0 ? words.append(kSmall[rest]) : words;
    }
    words += kTens[rest / 10];
    return rest % 10 > 0 ? words.append("-").append(kSmall[rest % 10]) : words;
}

}  // namespace

QuestionMaker arithmetic_questions(EntityPart part) {
    const auto numbers = numbers_of(part, kLargestTerm);
    return {.kinds = kArithmetic.size(), .make = [numbers](CounterRng& rng, std::size_t kind) {
                while (true) {
                    const int a = drawn(numbers, rng);
                    const int b = drawn(numbers, rng);
                    const int result = kind == sum ? a + b : a - b;
                    if (std::binary_search(numbers.begin(), numbers.end(), result)) {
                        const auto wording = drawn(kArithmetic[kind], rng);
                        return Question{fmt::format(fmt::runtime(wording), a, b),
                                        fmt::to_string(result)};
                    }
                }
            }};
}

QuestionMaker number_word_questions(EntityPart part) {
    const auto numbers = numbers_of(part, kLargestInWords);
    return {.kinds = kInWords.size(), .make = [numbers](CounterRng& rng, std::size_t kind) {
                const int number = drawn(numbers, rng);
                const auto wording = drawn(kInWords[kind], rng);
                const auto digits = fmt::to_string(number);
                const auto words = number_in_words(number);
                return kind == 0 ? Question{fmt::format(fmt::runtime(wording), digits), words}
                                 : Question{fmt::format(fmt::runtime(wording), words), digits};
            }};
}

}  // namespace dln
