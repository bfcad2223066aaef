#include "dln/data/actions.hpp"

#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;

class DataActions : public DataFolder {
  protected:
    [[nodiscard]] Dataset read_part(const PartSummary& part) const {
        SplitSpec split;
        split.path = part.path;
        return read_split(split);
    }
    [[nodiscard]] SplitSpec csv() const {
        auto split = spec("in.csv", "text,label\na,0\nb,1\nc,0\nd,1\na,1\n");
        split.input_field = "text";
        split.target_field = "label";
        split.labels = {{"0", "no"}, {"1", "yes"}};
        return split;
    }
    template <typename Action, typename Options>
    static std::string refusal_of(Action action, const Options& options) {
        try {
            (void)action(options);
        } catch (const UsageError& error) {
            return error.what();
        }
        return "nothing was thrown";
    }
};

TEST_F(DataActions, GenerateWritesPartsAndSaysWhatIsInThem) {
    const auto summary = make_generated({.task = "navigate",
                                         .sizes = {.train = 6, .dev = 0, .test = 4},
                                         .seed = 1,
                                         .out_dir = path("out")});
    ASSERT_EQ(summary.parts.size(), 2U);
    EXPECT_EQ(summary.parts[0].path, path("out/train.jsonl"));
    EXPECT_EQ(summary.parts[1].path, path("out/test.jsonl"));
    EXPECT_FALSE(std::filesystem::exists(path("out/dev.jsonl")));
    for (const auto& part : summary.parts) {
        const auto examples = read_part(part);
        EXPECT_EQ(examples.size(), part.examples);
        EXPECT_EQ(examples.digest(), part.digest);
        ASSERT_EQ(part.targets.size(), 2U);
        EXPECT_EQ(part.targets[0].count, part.examples / 2);
    }
}

TEST_F(DataActions, ConvertRenamesFieldsAndLabels) {
    const auto summary =
        convert({.from = csv(), .classes = {"no", "yes"}, .out = path("out.jsonl")});
    EXPECT_EQ(pairs_of(read_part(summary.parts.at(0))),
              (Pairs{{"a", "no"}, {"b", "yes"}, {"c", "no"}, {"d", "yes"}, {"a", "yes"}}));
    EXPECT_EQ(summary.parts[0].targets.at(0).target, "yes");
    EXPECT_EQ(summary.parts[0].targets.at(0).count, 3U);
}

TEST_F(DataActions, SplitCountsRepeatedInputs) {
    const auto summary = split_file({.from = csv(),
                                     .classes = {},
                                     .sizes = {.train = 2, .dev = 2, .test = 0},
                                     .balanced = true,
                                     .seed = 0,
                                     .out_dir = path("out")});
    EXPECT_EQ(summary.repeated, 1U);
    ASSERT_EQ(summary.parts.size(), 2U);
    EXPECT_EQ(summary.parts[1].targets.size(), 2U);
}

TEST_F(DataActions, OlderFileOfAPartThatIsNotWantedIsRefused) {
    const auto options = [&](std::size_t dev) {
        return SplitFileOptions{.from = csv(),
                                .classes = {},
                                .sizes = {.train = 2, .dev = dev, .test = 1},
                                .balanced = false,
                                .seed = 0,
                                .out_dir = path("out")};
    };
    static_cast<void>(split_file(options(1)));
    EXPECT_THAT(refusal_of(split_file, options(0)), HasSubstr("out/dev.jsonl: is there already"));
}

TEST_F(DataActions, PolarityNamesAMissingLexicon) {
    EXPECT_THAT(refusal_of(make_polarity,
                           PolarityOptions{.lexicon = path("absent.txt"), .out_dir = path("out")}),
                HasSubstr("absent.txt: cannot read"));
    EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(DataActions, NeverReplaceTheFileThatIsRead) {
    const auto source = spec("train.jsonl", "{\"input\": \"a\", \"target\": \"x\"}\n");
    EXPECT_THAT(refusal_of(convert, ConvertOptions{.from = source,
                                                   .classes = {},
                                                   .out = path("../" + folder_.filename().string() +
                                                               "/train.jsonl")}),
                HasSubstr("is the file that is read"));
    EXPECT_THAT(refusal_of(split_file, SplitFileOptions{.from = source,
                                                        .classes = {},
                                                        .sizes = {.train = 1, .dev = 0, .test = 0},
                                                        .balanced = false,
                                                        .seed = 0,
                                                        .out_dir = folder_.string()}),
                HasSubstr("is the file that is read"));
}

TEST_F(DataActions, RefuseToMakeNothing) {
    EXPECT_THAT(
        refusal_of(make_generated, GenerateOptions{.task = "navigate",
                                                   .sizes = {.train = 0, .dev = 0, .test = 0},
                                                   .seed = 0,
                                                   .out_dir = path("out")}),
        HasSubstr("all of size 0"));
}

}  // namespace
}  // namespace dln
