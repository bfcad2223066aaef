#include <map>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "dln/data/generate.hpp"

#include "data_folder.hpp"

// Solves the generated text with a solver of its own: it reads the sentences and places one thing after
// the other from the left, while the generator never reads text and looks at all 5040 rows.

namespace dln {
namespace {

/// "The X <verb> ...": what is said of the place of x, or of those of x and y.
struct Sentence {
    std::string x;
    std::string relation;  ///< "left", "just left", "right", "just right", "next", "at", "not at"
    std::string y;
    int place = -1;
};

int place_of(const std::string& words) {
    static const std::map<std::string, int> kPlaces{
        {"at the far left", 1}, {"second from the left", 2}, {"third from the left", 3},
        {"in the middle", 4},   {"third from the right", 5}, {"second from the right", 6},
        {"at the far right", 7}};
    const auto place = kPlaces.find(words);
    return place == kPlaces.end() ? -1 : place->second;
}

Sentence parse(const std::string& text) {
    static const std::regex kNot("It is not the (\\w+) that (?:is )?\\w+ (.*)\\.");
    static const std::regex kPair(
        "The (\\w+) (?:is )?\\w+ (somewhere to the left of|somewhere to the right of|directly to "
        "the "
        "left of|directly to the right of|right next to) the (\\w+)\\.");
    static const std::regex kPlace("The (\\w+) (?:is )?\\w+ (.*)\\.");
    static const std::map<std::string, std::string> kRelations{
        {"somewhere to the left of", "left"},
        {"somewhere to the right of", "right"},
        {"directly to the left of", "just left"},
        {"directly to the right of", "just right"},
        {"right next to", "next"}};
    std::smatch match;
    if (std::regex_match(text, match, kNot)) {
        return {match[1], "not at", "", place_of(match[2])};
    }
    if (std::regex_match(text, match, kPair)) {
        return {match[1], kRelations.at(match[2]), match[3], -1};
    }
    if (std::regex_match(text, match, kPlace)) {
        return {match[1], "at", "", place_of(match[2])};
    }
    ADD_FAILURE() << "not understood: " << text;
    return {};
}

using Places = std::map<std::string, int>;

/// False when `sentence` can no longer become true; things that are not placed come further right.
bool possible(const Sentence& sentence, const Places& placed) {
    const auto next = static_cast<int>(placed.size()) + 1;
    const auto x = placed.find(sentence.x);
    if (sentence.place > 0) {
        const bool there = x != placed.end() && x->second == sentence.place;
        if (sentence.relation == "not at") {
            return !there;
        }
        return there || (x == placed.end() && sentence.place >= next);
    }
    const auto y = placed.find(sentence.y);
    if (x == placed.end() && y == placed.end()) {
        return true;
    }
    const bool x_first = y == placed.end() || (x != placed.end() && x->second < y->second);
    const bool wants_x_first = sentence.relation == "left" || sentence.relation == "just left";
    if (sentence.relation != "next" && x_first != wants_x_first) {
        return false;
    }
    if (sentence.relation == "left" || sentence.relation == "right") {
        return true;
    }
    const int first = x_first ? x->second : y->second;
    const int second = x == placed.end() || y == placed.end() ? next
                       : x_first                              ? y->second
                                                              : x->second;
    return second == first + 1 || (second == next && first + 1 >= next);
}

void place_next(const std::set<std::string>& left,
                const std::vector<Sentence>& clues,
                Places& placed,
                std::vector<Places>& solutions) {
    for (const auto& clue : clues) {
        if (!possible(clue, placed)) {
            return;
        }
    }
    if (left.empty()) {
        solutions.push_back(placed);
        return;
    }
    for (const auto& thing : left) {
        auto others = left;
        others.erase(thing);
        placed[thing] = static_cast<int>(placed.size()) + 1;
        place_next(others, clues, placed, solutions);
        placed.erase(thing);
    }
}

struct Puzzle {
    std::set<std::string> things;
    std::vector<Sentence> clues;
    std::map<std::string, Sentence> options;
};

Puzzle puzzle_of(const std::string& input) {
    Puzzle puzzle;
    const auto break_at = input.find('\n');
    const auto list_end = input.find(", not necessarily in this order.");
    const auto list = input.substr(0, list_end);
    static const std::regex kThing("the (\\w+)(?=,| and the|$)");
    const auto colon = list.find(": ");
    const auto things = list.substr(colon + 2);
    for (std::sregex_iterator it(things.begin(), things.end(), kThing), end; it != end; ++it) {
        puzzle.things.insert((*it)[1]);
    }
    auto clues = input.substr(list_end, break_at - list_end);
    clues.erase(0, clues.find('.') + 1);
    static const std::regex kSentence("[^.]+\\.");
    for (std::sregex_iterator it(clues.begin(), clues.end(), kSentence), end; it != end; ++it) {
        puzzle.clues.push_back(parse(it->str().substr(1)));
    }
    static const std::regex kOption("\n(\\([A-G]\\)) ([^\n]*)");
    for (std::sregex_iterator it(input.begin(), input.end(), kOption), end; it != end; ++it) {
        puzzle.options[(*it)[1]] = parse((*it)[2]);
    }
    return puzzle;
}

std::vector<Places> solutions_of(const Puzzle& puzzle, const std::vector<Sentence>& clues) {
    Places placed;
    std::vector<Places> solutions;
    place_next(puzzle.things, clues, placed, solutions);
    return solutions;
}

class SevenObjectDeduction : public ::testing::Test {
  protected:
    Pairs examples_ =
        pairs_of(generate_parts("seven-object-deduction", {{"train", 84}}, 11).at(0).examples);
};

TEST_F(SevenObjectDeduction, HasOneSolutionInWhichOneOptionIsTrue) {
    for (const auto& [input, target] : examples_) {
        const auto puzzle = puzzle_of(input);
        ASSERT_EQ(puzzle.things.size(), 7U) << input;
        ASSERT_EQ(puzzle.options.size(), 7U) << input;
        const auto solutions = solutions_of(puzzle, puzzle.clues);
        ASSERT_EQ(solutions.size(), 1U) << input;
        for (const auto& [letter, option] : puzzle.options) {
            ASSERT_GT(option.place, 0) << input;
            EXPECT_EQ(solutions[0].at(option.x) == option.place, letter == target) << input;
        }
    }
}

TEST_F(SevenObjectDeduction, NeedsEveryClue) {
    for (const auto& [input, target] : examples_) {
        const auto puzzle = puzzle_of(input);
        for (std::size_t i = 0; i < puzzle.clues.size(); ++i) {
            auto fewer = puzzle.clues;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_GT(solutions_of(puzzle, fewer).size(), 1U) << input;
        }
    }
}

TEST_F(SevenObjectDeduction, NeverStatesItsAnswerInAClue) {
    for (const auto& [input, target] : examples_) {
        const auto puzzle = puzzle_of(input);
        const auto& answer = puzzle.options.at(target);
        for (const auto& clue : puzzle.clues) {
            EXPECT_FALSE(clue.x == answer.x && clue.place > 0) << input;
        }
    }
}

}  // namespace
}  // namespace dln
