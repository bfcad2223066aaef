#include "dln/data/generate.hpp"

#include <algorithm>
#include <complex>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> result;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        result.push_back(line);
    }
    return result;
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
}

Pairs generated(const std::string& task, std::size_t size, std::uint64_t seed = 1) {
    return pairs_of(generate_parts(task, {{"train", size}}, seed).at(0).examples);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& task) {
    auto name = task.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::vector<std::string> class_tasks() {
    auto names = generated_task_names();
    std::erase_if(names, [](const auto& name) { return generated_task_classes(name).empty(); });
    return names;
}

class EveryTask : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Generate,
                         EveryTask,
                         ::testing::ValuesIn(generated_task_names()),
                         test_name);

class ClassTask : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Generate, ClassTask, ::testing::ValuesIn(class_tasks()), test_name);

TEST(Generate, HasThreeTasksWithClasses) { EXPECT_EQ(class_tasks().size(), 3U); }

TEST_P(ClassTask, BalancesClassesInEachPart) {
    const auto targets = generated_task_classes(GetParam());
    for (const auto& part :
         generate_parts(GetParam(), {{"train", 71}, {"dev", 13}, {"test", 42}}, 3)) {
        std::map<std::string, std::size_t> counts;
        for (const auto& [input, target] : pairs_of(part.examples)) {
            ++counts[target];
        }
        for (const auto& target : targets) {
            EXPECT_GE(counts[target], part.examples.size() / targets.size()) << target;
            EXPECT_LE(counts[target], part.examples.size() / targets.size() + 1) << target;
        }
        EXPECT_EQ(counts.size(), targets.size());
    }
}

TEST_P(EveryTask, NeverMakesAnInputTwice) {
    std::set<std::string> inputs;
    for (const auto& part : generate_parts(GetParam(), {{"a", 150}, {"b", 0}, {"c", 150}}, 4)) {
        for (const auto& [input, target] : pairs_of(part.examples)) {
            EXPECT_TRUE(inputs.insert(input).second) << input;
        }
    }
    EXPECT_EQ(inputs.size(), 300U);
}

TEST_P(EveryTask, IsAFunctionOfTheSeed) {
    EXPECT_EQ(generated(GetParam(), 20, 5), generated(GetParam(), 20, 5));
    EXPECT_NE(generated(GetParam(), 20, 5), generated(GetParam(), 20, 6));
}

TEST_P(EveryTask, MakesEarlierPartsWhateverTheSizesOfLaterOnes) {
    const auto few = generate_parts(GetParam(), {{"train", 20}, {"dev", 5}}, 7);
    const auto many = generate_parts(GetParam(), {{"train", 20}, {"dev", 9}, {"test", 50}}, 7);
    EXPECT_EQ(few[0].examples.digest(), many[0].examples.digest());
}

TEST_P(ClassTask, DoesNotRepeatTheOrderOfClasses) {
    const auto targets = generated_task_classes(GetParam()).size();
    std::set<std::string> blocks;
    const auto examples = generated(GetParam(), 10 * targets);
    for (std::size_t begin = 0; begin < examples.size(); begin += targets) {
        std::string block;
        for (std::size_t i = begin; i < begin + targets; ++i) {
            block += examples[i].second;
        }
        blocks.insert(block);
    }
    EXPECT_GT(blocks.size(), 1U);
}

TEST(Generate, NeverChangesTheExamplesOfASeed) {
    // Frozen: people name a data set by task, sizes and seed.
    const auto digest = [](const std::string& task) {
        return generate_parts(task, {{"train", 12}}, 3).at(0).examples.digest().substr(0, 12);
    };
    EXPECT_EQ(digest("adjective-order"), "61fdeaed5a8c");
    EXPECT_EQ(digest("navigate"), "db6018db3444");
    EXPECT_EQ(digest("seven-object-deduction"), "a69aad84d9da");
}

TEST(Generate, NamesTheTasksWhenOneIsUnknown) {
    try {
        (void)generate_parts("navigat", {{"train", 1}}, 0);
        FAIL() << "nothing was thrown";
    } catch (const UsageError& error) {
        EXPECT_EQ(std::string(error.what()),
                  "no task \"navigat\". Expected one of: adjective-order, navigate, "
                  "seven-object-deduction, arithmetic, capitals, antonyms, reversal, extraction, "
                  "number-words, sorting. Did you mean \"navigate\"?");
    }
}

/// Kind of adjective by a list written down on its own, and not by the generator's tables.
int rank_of(const std::string& adjective) {
    static const std::vector<std::string> kKinds{
        " lovely dreadful charming horrid splendid delightful ghastly superb ",
        " tiny huge small enormous large gigantic miniature big ",
        " ancient new old antique modern young medieval brand-new ",
        " round square oval triangular spherical rectangular conical hexagonal ",
        " red green blue yellow purple white orange turquoise ",
        " Peruvian Danish Kenyan Scottish Korean Greek Chilean Moroccan ",
        " wooden copper glass leather marble woollen ceramic steel ",
        " hunting cooking racing sewing fishing gardening camping dancing "};
    for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
        if (kKinds[kind].find(" " + adjective + " ") != std::string::npos) {
            return static_cast<int>(kind);
        }
    }
    ADD_FAILURE() << "no known adjective: " << adjective;
    return -1;
}

/// Ranks of all words but the noun.
std::vector<int> ranks_of(const std::string& option) {
    auto words = words_of(option.substr(4));
    words.pop_back();
    std::vector<int> ranks;
    for (const auto& word : words) {
        ranks.push_back(rank_of(word));
    }
    return ranks;
}

TEST(AdjectiveOrder, OffersOneRightOrderOfTheSameWords) {
    for (const auto& [input, target] : generated("adjective-order", 400)) {
        const auto lines = lines_of(input);
        ASSERT_EQ(lines.size(), 4U) << input;
        const auto a = ranks_of(lines[2]);
        const auto b = ranks_of(lines[3]);
        const auto& right = target == "(A)" ? a : b;
        const auto& wrong = target == "(A)" ? b : a;
        EXPECT_TRUE(std::is_sorted(right.begin(), right.end())) << input;
        EXPECT_FALSE(std::is_sorted(wrong.begin(), wrong.end())) << input;
        EXPECT_EQ(std::set<int>(right.begin(), right.end()).size(), right.size()) << input;
        EXPECT_GE(right.size(), 3U);
        EXPECT_LE(right.size(), 5U);
        auto words_a = words_of(lines[2].substr(4));
        auto words_b = words_of(lines[3].substr(4));
        EXPECT_EQ(words_a.back(), words_b.back());
        std::sort(words_a.begin(), words_a.end());
        std::sort(words_b.begin(), words_b.end());
        EXPECT_EQ(words_a, words_b);
    }
}

/// Follows the text with complex numbers: a turn is a factor, a step is the heading.
bool returns(const std::string& input) {
    std::complex<int> at = 0;
    std::complex<int> heading(0, 1);
    const std::complex<int> i(0, 1);
    const auto words = words_of(lines_of(input).at(0));
    for (std::size_t w = 0; w + 1 < words.size(); ++w) {
        if (words[w] == "Turn") {
            heading *= words[w + 1] == "left." ? i : words[w + 1] == "right." ? -i : i * i;
        } else if (words[w] == "Walk") {
            auto way = heading;
            if (words[w + 2].back() != '.') {  // "Walk 3 steps to the left."
                const auto& where = words[w + 3] == "to" ? words[w + 5] : words[w + 3];
                way *= where == "left."       ? i
                       : where == "right."    ? -i
                       : where == "backward." ? i * i
                                              : 1;
            }
            at += way * std::stoi(words[w + 1]);
        }
    }
    return at == 0;
}

TEST(Navigate, IsAnsweredByFollowingTheSteps) {
    for (const auto& [input, target] : generated("navigate", 1000)) {
        EXPECT_EQ(returns(input) ? "Yes" : "No", target) << input;
    }
}

TEST(Navigate, HasBothFormsWithBothAnswers) {
    std::map<std::string, std::size_t> forms;
    for (const auto& [input, target] : generated("navigate", 400)) {
        const bool facing = input.find("Always face forward.") != std::string::npos;
        EXPECT_EQ(facing, input.find("Turn") == std::string::npos && facing) << input;
        ++forms[(facing ? "facing " : "turning ") + target];
    }
    EXPECT_EQ(forms.size(), 4U);
    for (const auto& [form, count] : forms) {
        EXPECT_GT(count, 60U) << form;
    }
}

TEST(Navigate, SaysOneStepInTheSingular) {
    bool seen = false;
    for (const auto& [input, target] : generated("navigate", 400)) {
        EXPECT_EQ(input.find(" 1 steps"), std::string::npos) << input;
        EXPECT_EQ(input.find(" 0 step"), std::string::npos) << input;
        seen = seen || input.find(" 1 step") != std::string::npos;
    }
    EXPECT_TRUE(seen);
}

TEST(Navigate, DoesNotGiveTheAnswerAwayByItsLength) {
    std::map<std::string, double> instructions;
    for (const auto& [input, target] : generated("navigate", 1000)) {
        instructions[target] +=
            static_cast<double>(std::count(input.begin(), input.end(), '.')) / 500.0;
    }
    EXPECT_NEAR(instructions["Yes"], instructions["No"], 0.4);
}

}  // namespace
}  // namespace dln
