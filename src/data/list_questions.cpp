#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "generators.hpp"

// Reversal and sorting: lists of words or numbers in another order.

namespace dln {
namespace {

constexpr std::size_t kShortest = 3;
constexpr std::size_t kLengths = 3;
constexpr int kLargestNumber = 999;

constexpr std::array<std::string_view, 6> kReversal{
    "Write this list backwards: {}",
    "Reverse the order of these words: {}",
    "List these words from the last to the first: {}",
    "Turn the list around: {}",
    "Give the words in reverse order: {}",
    "Repeat the list, last word first: {}"};

enum Order : std::size_t { alphabet = 0, upwards = 1, downwards = 2 };

constexpr std::array<std::array<std::string_view, 6>, 3> kSorting{{
    {"Sort these words by the alphabet: {}", "Put the words into alphabetical order: {}",
     "Arrange alphabetically: {}", "List these words from A to Z: {}", "Alphabetize the list: {}",
     "Order the words as a dictionary does: {}"},
    {"Sort these numbers from small to large: {}", "Put the numbers into ascending order: {}",
     "Arrange from the lowest to the highest: {}", "List these numbers, smallest first: {}",
     "Order the numbers upwards: {}", "Write the numbers in increasing order: {}"},
    {"Sort these numbers from large to small: {}", "Put the numbers into descending order: {}",
     "Arrange from the highest to the lowest: {}", "List these numbers, largest first: {}",
     "Order the numbers downwards: {}", "Write the numbers in decreasing order: {}"},
}};

template <typename Entry>
std::string listed(const std::vector<Entry>& entries) {
    return fmt::format("{}", fmt::join(entries, ", "));
}

/// Asks for `entries` as they are by `less`; they are never in that order already.
template <typename Entry, typename Less>
Question sorting(std::vector<Entry> entries, Order order, Less less, CounterRng& rng) {
    if (std::is_sorted(entries.begin(), entries.end(), less)) {
        std::swap(entries.front(), entries.back());
    }
    const auto input = fmt::format(fmt::runtime(drawn(kSorting[order], rng)), listed(entries));
    std::sort(entries.begin(), entries.end(), less);
    return {input, listed(entries)};
}

}  // namespace

QuestionMaker reversal_questions(EntityPart part) {
    const auto things = things_of(part);
    return {.kinds = kLengths, .make = [things](CounterRng& rng, std::size_t kind) {
                auto words = drawn(things, kShortest + kind, rng);
                const auto input = fmt::format(fmt::runtime(drawn(kReversal, rng)), listed(words));
                std::reverse(words.begin(), words.end());
                return Question{input, listed(words)};
            }};
}

QuestionMaker sorting_questions(EntityPart part) {
    const auto things = things_of(part);
    const auto numbers = numbers_of(part, kLargestNumber);
    return {.kinds = kSorting.size(), .make = [things, numbers](CounterRng& rng, std::size_t kind) {
                const auto order = static_cast<Order>(kind);
                const auto length = kShortest + rng.below(kLengths);
                if (order == alphabet) {
                    return sorting(drawn(things, length, rng), order, std::less<>(), rng);
                }
                return sorting(
                    drawn(numbers, length, rng), order,
                    [order](int a, int b) { return order == upwards ? a < b : b < a; }, rng);
            }};
}

}  // namespace dln
