// The generated tasks whose targets are free text: answers are worked out again from the inputs alone.

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "dln/data/generate.hpp"
#include "dln/text/utf8.hpp"

#include "data_folder.hpp"

namespace dln {
namespace {

const std::vector<PartSize> kSizes{{"train", 200}, {"dev", 100}, {"test", 400}};

/// All examples of the usual sizes.
Pairs examples_of(const std::string& task, std::uint64_t seed = 1) {
    Pairs all;
    for (const auto& part : generate_parts(task, kSizes, seed)) {
        const auto pairs = pairs_of(part.examples);
        all.insert(all.end(), pairs.begin(), pairs.end());
    }
    return all;
}

/// Runs of letters, digits and hyphens.
std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '\'') {
            words.back() += c;
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    if (words.back().empty()) {
        words.pop_back();
    }
    return words;
}

std::vector<int> numbers_in(const std::string& text) {
    std::vector<int> numbers;
    for (const auto& word : words_of(text)) {
        if (std::isdigit(static_cast<unsigned char>(word[0])) != 0) {
            numbers.push_back(std::stoi(word));
        }
    }
    return numbers;
}

/// "a, b" behind the colon of `input`.
std::vector<std::string> list_of(const std::string& text) {
    std::vector<std::string> entries;
    const auto colon = text.find(": ");
    std::istringstream in(colon == std::string::npos ? text : text.substr(colon + 2));
    for (std::string entry; std::getline(in, entry, ',');) {
        entries.push_back(entry.substr(entry.find_first_not_of(' ')));
    }
    return entries;
}

class InstructionTask : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    Generate,
    InstructionTask,
    ::testing::Values(
        "arithmetic", "capitals", "antonyms", "reversal", "extraction", "number-words", "sorting"),
    [](const auto& task) {
        auto name = task.param;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

/// Of which every word of a target is one entity. In the others names share words (Sudan, South Sudan).
class TaskOfSingleWords : public InstructionTask {};
INSTANTIATE_TEST_SUITE_P(
    Generate,
    TaskOfSingleWords,
    ::testing::Values("arithmetic", "antonyms", "reversal", "extraction", "sorting"));

TEST_P(TaskOfSingleWords, HasNothingOfOnePartInAnother) {
    struct Words {
        std::set<std::string> all;
        std::set<std::string> targets;
    };
    const auto words_of_parts = [](std::uint64_t seed) {
        std::vector<Words> parts;
        for (const auto& part : generate_parts(GetParam(), kSizes, seed)) {
            auto& words = parts.emplace_back();
            for (const auto& [input, target] : pairs_of(part.examples)) {
                const auto given = words_of(input);
                const auto wanted = words_of(target);
                words.all.insert(given.begin(), given.end());
                words.all.insert(wanted.begin(), wanted.end());
                words.targets.insert(wanted.begin(), wanted.end());
            }
        }
        return parts;
    };
    const auto parts = words_of_parts(1);
    const auto others = words_of_parts(2);  // what is in a part does not depend on the seed
    for (std::size_t a = 0; a < 3; ++a) {
        for (const auto& word : parts[a].all) {
            const bool in_wordings = others[0].all.contains(word) && others[1].all.contains(word) &&
                                     others[2].all.contains(word);
            EXPECT_FALSE(in_wordings && parts[a].targets.contains(word)) << word;
            for (std::size_t b = 0; b < 3; ++b) {
                EXPECT_FALSE(a != b && !in_wordings && others[b].all.contains(word))
                    << word << " in parts " << a << " and " << b;
            }
        }
    }
}

TEST_P(InstructionTask, HasSeveralWordingsAndShortTargets) {
    std::set<std::string> beginnings;
    for (const auto& [input, target] : examples_of(GetParam())) {
        beginnings.insert(words_of(input).at(0) + " " + words_of(input).at(1));
        EXPECT_LE(target.size(), 60U) << target;
        EXPECT_EQ(target, std::string(trim(target)));
        EXPECT_EQ(input.find_first_of("{}"), std::string::npos) << input;
    }
    EXPECT_GE(beginnings.size(), 5U);
}

TEST(Arithmetic, IsAnsweredByItsNumbersAndIsBalanced) {
    std::size_t sums = 0;
    const auto examples = examples_of("arithmetic");
    for (const auto& [input, target] : examples) {
        const auto numbers = numbers_in(input);
        ASSERT_EQ(numbers.size(), 2U) << input;
        bool sum = false;
        for (const char* word : {"plus", " + ", "Add", "sum"}) {
            sum = sum || input.find(word) != std::string::npos;
        }
        EXPECT_EQ(std::stoi(target), sum ? numbers[0] + numbers[1] : numbers[0] - numbers[1])
            << input;
        sums += sum ? 1 : 0;
    }
    EXPECT_EQ(sums, examples.size() / 2);
}

TEST(NumberWords, AreThoseOfTheNumber) {
    const std::map<std::string, int> values{
        {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},      {"five", 5},
        {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},      {"ten", 10},
        {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15},
        {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19}, {"twenty", 20},
        {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},    {"seventy", 70},
        {"eighty", 80},  {"ninety", 90}};
    const auto value_of = [&](const std::string& text) {
        int value = 0;
        auto spaced = text;
        std::replace(spaced.begin(), spaced.end(), '-', ' ');
        for (const auto& word : words_of(spaced)) {
            const auto found = values.find(word);
            value = found != values.end() ? value + found->second
                    : word == "hundred"   ? value * 100
                                          : value;
        }
        return value;
    };
    std::size_t in_words = 0;
    for (const auto& [input, target] : examples_of("number-words")) {
        const auto digits = numbers_in(input);
        in_words += digits.empty() ? 0U : 1U;
        EXPECT_EQ(digits.empty() ? std::stoi(target) : digits[0],
                  value_of(digits.empty() ? input : target))
            << input << " -> " << target;
    }
    EXPECT_EQ(in_words, 350U);
}

TEST(NumberWords, HaveNumbersOfTheirOwnInEachPart) {
    std::map<std::string, std::size_t> part_of;
    const auto parts = generate_parts("number-words", kSizes, 1);
    for (std::size_t p = 0; p < parts.size(); ++p) {
        for (const auto& [input, target] : pairs_of(parts[p].examples)) {
            const auto digits = numbers_in(input + " " + target);
            ASSERT_EQ(digits.size(), 1U);
            EXPECT_EQ(part_of.emplace(std::to_string(digits[0]), p).first->second, p) << input;
        }
    }
}

TEST(Capitals, HaveCountriesOfTheirOwnInEachPartEquallyOften) {
    std::map<std::string, std::size_t> part_of;
    const auto parts = generate_parts("capitals", kSizes, 1);
    std::size_t all = 0;
    for (std::size_t p = 0; p < parts.size(); ++p) {
        std::map<std::string, std::size_t> counts;
        for (const auto& [input, target] : pairs_of(parts[p].examples)) {
            EXPECT_EQ(part_of.emplace(target, p).first->second, p) << target;
            ++counts[target];
        }
        const auto most = std::max_element(counts.begin(), counts.end(),
                                           [](auto& a, auto& b) { return a.second < b.second; });
        EXPECT_LE(most->second, parts[p].examples.size() / counts.size() + 1) << most->first;
        all += counts.size();
    }
    EXPECT_GE(all, 90U);
}

TEST(Capitals, OfOnePartComeToAnEndWithAMessage) {
    try {
        (void)generate_parts("capitals", {{"train", 20}, {"dev", 1000}}, 1);
        FAIL() << "nothing was thrown";
    } catch (const UsageError& error) {
        // 35 countries in 9 wordings.
        EXPECT_EQ(std::string(error.what()),
                  "task capitals has hardly more than 315 different examples for dev, after 20 for "
                  "the parts before: ask for fewer");
    }
}

TEST(Capitals, AreThoseOfTheirCountries) {
    const std::map<std::string, std::string> known{{"Australia?", "Canberra"},
                                                   {"Brazil?", "Brasilia"},
                                                   {"Canada?", "Ottawa"},
                                                   {"Turkey?", "Ankara"},
                                                   {"Morocco?", "Rabat"},
                                                   {"Nigeria?", "Abuja"},
                                                   {"New Zealand?", "Wellington"},
                                                   {"Kenya?", "Nairobi"},
                                                   {"the United States?", "Washington"},
                                                   {"Vietnam?", "Hanoi"},
                                                   {"Pakistan?", "Islamabad"}};
    std::size_t seen = 0;
    for (const auto& [input, target] : examples_of("capitals")) {
        for (const auto& [country, capital] : known) {
            if (input.ends_with("of " + country)) {
                EXPECT_EQ(target, capital);
                ++seen;
            }
        }
    }
    EXPECT_GT(seen, 5U);
}

TEST(Antonyms, GoBothWaysAndHaveOneOppositeEach) {
    // A word is between quotes or at either end of the wording: the targets tell which words there are.
    std::map<std::string, std::string> opposite;
    const auto examples = examples_of("antonyms");
    std::set<std::string> words;
    for (const auto& [input, target] : examples) {
        words.insert(target);
    }
    EXPECT_GE(words.size(), 240U);
    for (const auto& [input, target] : examples) {
        std::vector<std::string> asked;
        for (const auto& word : words_of(input)) {
            if (words.contains(word) && word != "give" && word != "find") {
                asked.push_back(word);
            }
        }
        ASSERT_LE(asked.size(), 1U) << input;
        if (!asked.empty()) {
            EXPECT_EQ(opposite.emplace(asked[0], target).first->second, target);
        }
    }
    std::size_t both = 0;
    for (const auto& [word, other] : opposite) {
        if (const auto back = opposite.find(other); back != opposite.end()) {
            EXPECT_EQ(back->second, word);
            ++both;
        }
    }
    EXPECT_GT(both, 100U);
}

TEST(Reversal, IsTheListFromItsEnd) {
    std::map<std::size_t, std::size_t> lengths;
    for (const auto& [input, target] : examples_of("reversal")) {
        auto words = list_of(input);
        ++lengths[words.size()];
        std::reverse(words.begin(), words.end());
        EXPECT_EQ(words, list_of(target)) << input;
    }
    EXPECT_EQ(lengths.size(), 3U);
}

TEST(Sorting, IsTheListInOrderAndNeverSortedAlready) {
    for (const auto& [input, target] : examples_of("sorting")) {
        auto given = list_of(input);
        auto sorted = list_of(target);
        EXPECT_NE(given, sorted) << input;
        const auto numbers = numbers_in(target);
        if (numbers.empty()) {
            EXPECT_TRUE(std::is_sorted(sorted.begin(), sorted.end())) << input;
        } else {
            bool down = false;
            for (const char* word : {"large to small", "descending", "highest to", "largest first",
                                     "downwards", "decreasing"}) {
                down = down || input.find(word) != std::string::npos;
            }
            EXPECT_TRUE(down ? std::is_sorted(numbers.rbegin(), numbers.rend())
                             : std::is_sorted(numbers.begin(), numbers.end()))
                << input;
        }
        std::sort(given.begin(), given.end());
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(given, sorted) << input;
    }
}

TEST(Extraction, AnswersWithAPieceOfTheSentence) {
    std::map<std::string, std::size_t> kinds;
    for (const auto& [input, target] : examples_of("extraction")) {
        const auto at = input.find(target);
        ASSERT_NE(at, std::string::npos) << input;
        const bool person = target.find(' ') != std::string::npos;
        const bool city = !person && std::isupper(static_cast<unsigned char>(target[0])) != 0;
        ++kinds[person ? "person" : city ? "city" : "object"];
        const char* asked = person ? "erson" : city ? "city" : "object";
        EXPECT_TRUE(input.find(asked) < at || input.find("thing") < at ||
                    input.rfind("Who", 0) == 0)
            << input;
        EXPECT_EQ(input.find(" a a"), std::string::npos) << input;
    }
    EXPECT_EQ(kinds.size(), 3U);
    for (const auto& [kind, count] : kinds) {
        EXPECT_NEAR(static_cast<double>(count), 700.0 / 3.0, 3.0) << kind;
    }
}

}  // namespace
}  // namespace dln
