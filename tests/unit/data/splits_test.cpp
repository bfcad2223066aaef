#include "dln/data/splits.hpp"

#include <map>
#include <set>

#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;

/// `count` examples of each target, in blocks.
Dataset blocks_of(std::size_t count, const std::vector<std::string>& targets) {
    Dataset examples;
    for (const auto& target : targets) {
        for (std::size_t i = 0; i < count; ++i) {
            examples.add(target + std::to_string(i), target);
        }
    }
    return examples;
}

std::map<std::string, std::size_t> counts(const Dataset& examples) {
    std::map<std::string, std::size_t> result;
    for (const auto& [input, target] : pairs_of(examples)) {
        ++result[target];
    }
    return result;
}

std::string refusal_of(const Dataset& examples, const SplitOptions& options) {
    try {
        (void)split_dataset(examples, options);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "nothing was thrown";
}

const std::vector<PartSize> kParts{{"train", 20}, {"dev", 0}, {"test", 9}};

TEST(SplitDataset, GivesEachPartItsSizeAndNoInputTwice) {
    const auto split = split_dataset(blocks_of(20, {"x", "y"}), {.parts = kParts});
    ASSERT_EQ(split.parts.size(), 3U);
    std::set<std::string> inputs;
    for (std::size_t p = 0; p < kParts.size(); ++p) {
        EXPECT_EQ(split.parts[p].name, kParts[p].name);
        EXPECT_EQ(split.parts[p].examples.size(), kParts[p].size);
        for (const auto& [input, target] : pairs_of(split.parts[p].examples)) {
            EXPECT_TRUE(inputs.insert(input).second) << input;
            EXPECT_EQ(input.substr(0, 1), target);
        }
    }
    EXPECT_EQ(split.repeated, 0U);
}

TEST(SplitDataset, DrawsTheSameWithTheSameSeedOnly) {
    const auto examples = blocks_of(20, {"x", "y"});
    const auto first = split_dataset(examples, {.parts = kParts, .seed = 1});
    const auto again = split_dataset(examples, {.parts = kParts, .seed = 1});
    const auto other = split_dataset(examples, {.parts = kParts, .seed = 2});
    EXPECT_EQ(first.parts[0].examples.digest(), again.parts[0].examples.digest());
    EXPECT_EQ(first.parts[2].examples.digest(), again.parts[2].examples.digest());
    EXPECT_NE(first.parts[0].examples.digest(), other.parts[0].examples.digest());
}

TEST(SplitDataset, DoesNotKeepTheOrderOfTheFile) {
    const auto examples = blocks_of(50, {"x", "y"});
    const auto split = split_dataset(examples, {.parts = {{"all", 100}}});
    EXPECT_NE(pairs_of(split.parts[0].examples), pairs_of(examples));
    EXPECT_EQ(counts(split.parts[0].examples), counts(examples));
}

TEST(SplitDataset, BalancesEachPart) {
    auto examples = blocks_of(40, {"x", "y", "z"});
    for (std::size_t i = 0; i < 500; ++i) {
        examples.add("more" + std::to_string(i), "x");
    }
    const auto split =
        split_dataset(examples, {.parts = {{"train", 60}, {"dev", 10}}, .balanced = true});
    EXPECT_EQ(counts(split.parts[0].examples),
              (std::map<std::string, std::size_t>{{"x", 20}, {"y", 20}, {"z", 20}}));
    const auto dev = counts(split.parts[1].examples);
    EXPECT_EQ(split.parts[1].examples.size(), 10U);
    for (const auto& [target, count] : dev) {
        EXPECT_TRUE(count == 3 || count == 4) << target << " " << count;
    }
}

TEST(SplitDataset, UsesEveryExampleWhenTheSizesSaySo) {
    const auto split =
        split_dataset(blocks_of(3, {"x", "y"}), {.parts = {{"a", 3}, {"b", 3}}, .balanced = true});
    EXPECT_EQ(split.parts[0].examples.size() + split.parts[1].examples.size(), 6U);
}

TEST(SplitDataset, UsesOnlyTheFirstExampleWithAnInput) {
    Dataset examples;
    for (const auto* target : {"first", "second"}) {
        for (int i = 0; i < 10; ++i) {
            examples.add("same" + std::to_string(i), target);
        }
    }
    const auto split = split_dataset(examples, {.parts = {{"a", 5}, {"b", 5}}});
    EXPECT_EQ(split.repeated, 10U);
    std::set<std::string> inputs;
    for (const auto& part : split.parts) {
        for (const auto& [input, target] : pairs_of(part.examples)) {
            EXPECT_TRUE(inputs.insert(input).second) << input;
            EXPECT_EQ(target, "first");
        }
    }
}

TEST(SplitDataset, SaysHowManyExamplesThereAre) {
    auto examples = blocks_of(5, {"x", "y"});
    examples.add("x0", "x");
    EXPECT_THAT(
        refusal_of(examples, {.parts = {{"a", 11}}}),
        HasSubstr("the parts (--a 11) need 11 examples together, there are 10 with an input "
                  "of their own"));
    EXPECT_THAT(refusal_of(examples, {.parts = {{"a", SIZE_MAX}, {"b", 2}}}),
                HasSubstr("add up to more"));
}

TEST(SplitDataset, NamesTheTargetThatIsTooRare) {
    auto examples = blocks_of(5, {"x"});
    examples.add("only", "y");
    EXPECT_THAT(refusal_of(examples, {.parts = {{"a", 4}}, .balanced = true}),
                HasSubstr("need 2 examples with target \"y\", there are 1"));
}

}  // namespace
}  // namespace dln
