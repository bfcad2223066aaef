// Examples of several tasks in one set: in memory, in files, and mixed from files.

#include <algorithm>

#include <gmock/gmock.h>

#include "dln/data/actions.hpp"
#include "dln/data/splits.hpp"
#include "dln/data/write.hpp"

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Dataset three_of_two_tasks() {
    Dataset examples;
    examples.add("good", "positive", "polarity");
    examples.add("3 + 4", "7", "Rechnen \xC3\xBC");
    examples.add("bad", "negative", "polarity");
    return examples;
}

std::vector<std::string> tasks_of(const Dataset& examples) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < examples.size(); ++i) {
        result.push_back(examples.task_names().at(examples.task(i)));
    }
    return result;
}

TEST(DatasetTasks, AreNumberedInTheOrderOfTheirFirstExample) {
    const auto examples = three_of_two_tasks();
    EXPECT_TRUE(examples.has_tasks());
    EXPECT_THAT(examples.task_names(), ElementsAre("polarity", "Rechnen \xC3\xBC"));
    EXPECT_EQ(examples.task(0), 0U);
    EXPECT_EQ(examples.task(1), 1U);
    EXPECT_EQ(examples.task(2), 0U);
    EXPECT_EQ(examples[2].input, "bad");
    EXPECT_THROW((void)examples.task(3), InternalError);
}

TEST(DatasetTasks, BelongToAllExamplesOrToNone) {
    Dataset without;
    without.add("a", "x");
    EXPECT_FALSE(without.has_tasks());
    EXPECT_THROW(without.add("b", "y", "task"), InternalError);
    EXPECT_THROW((void)without.task(0), InternalError);
    auto with = three_of_two_tasks();
    EXPECT_THROW(with.add("b", "y"), InternalError);
    EXPECT_EQ(with.size(), 3U);
}

TEST(DatasetTasks, SurviveTheWayToAnotherRank) {
    const auto examples = three_of_two_tasks();
    auto copy = Dataset::deserialize(examples.serialize());
    EXPECT_EQ(pairs_of(copy), pairs_of(examples));
    EXPECT_EQ(tasks_of(copy), tasks_of(examples));
    EXPECT_EQ(copy.digest(), examples.digest());
    copy.add("worse", "negative", "polarity");
    EXPECT_EQ(copy.task_names().size(), 2U);
}

TEST(DatasetTasks, ChangeTheDigest) {
    const auto with_task = [](const char* task) {
        Dataset examples;
        examples.add("a", "x", task);
        return examples.digest();
    };
    Dataset without;
    without.add("a", "x");
    EXPECT_NE(with_task("t"), without.digest());
    EXPECT_NE(with_task("t"), with_task("u"));
}

TEST(DatasetTasks, NeverChangeTheirDigest) {
    // Frozen: run directories hold digests of earlier versions. The SHA-256 of "DLNDATA2", 64-bit little-endian
    // 2, 12, 4, 12, "goodpositive", 1, 8, "polarity", 0.
    Dataset examples;
    examples.add("good", "positive", "polarity");
    EXPECT_EQ(examples.digest(),
              "ab63fbb3a695cf232df44029557c65b7656dc19cfc63935d69fda3605e210e92");
}

TEST(DatasetTasks, RefuseBytesThatAreNoSet) {
    const auto bytes = three_of_two_tasks().serialize();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_THROW((void)Dataset::deserialize(bytes.substr(0, length)), UsageError) << length;
    }
    EXPECT_THROW((void)Dataset::deserialize(bytes + "x"), UsageError);
}

TEST(DatasetTasks, AreReadFromDamagedBytesWithoutReadingOutside) {
    const auto bytes = three_of_two_tasks().serialize();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (const char damage : {'\0', '\1', '\2', '\x7F', '\xFF'}) {
            auto damaged = bytes;
            damaged[at] = damage;
            try {
                // What passes for a set is one: it is written as it was read.
                EXPECT_EQ(Dataset::deserialize(damaged).serialize(), damaged) << at;
            } catch (const UsageError&) {
            }
        }
    }
}

class TaskFiles : public DataFolder {
  protected:
    [[nodiscard]] SplitSpec with_tasks(SplitSpec split, const std::string& field = "task") const {
        split.task_field = field;
        return split;
    }
    [[nodiscard]] TaskSource source(const std::string& task, std::string_view content) const {
        return {.task = task, .from = spec(task + ".csv", content)};
    }
    [[nodiscard]] static std::string mix_refusal(const MixOptions& options) {
        try {
            (void)mix(options);
        } catch (const UsageError& error) {
            return error.what();
        }
        return "nothing was thrown";
    }
};

TEST_F(TaskFiles, OfEveryFormatAreRead) {
    const auto lines =
        read_split(with_tasks(spec("x.jsonl",
                                   "{\"kind\": \"b\", \"input\": \"i\", \"target\": 1}\n"
                                   "{\"input\": \"j\", \"target\": 2, \"kind\": 7}\n"),
                              "kind"));
    EXPECT_THAT(tasks_of(lines), ElementsAre("b", "7"));
    const auto rows =
        read_split(with_tasks(spec("x.csv", "task,target,input\nb,1,i\n\"a, c\",2,j\n")));
    EXPECT_EQ(pairs_of(rows), (Pairs{{"i", "1"}, {"j", "2"}}));
    EXPECT_THAT(tasks_of(rows), ElementsAre("b", "a, c"));
    const auto document = read_split(with_tasks(
        spec("x.json", R"({"examples": [{"input": "i", "target": "1", "task": "b"}]})")));
    EXPECT_THAT(tasks_of(document), ElementsAre("b"));
}

TEST_F(TaskFiles, AreReadWithoutTasksWhereNoneAreAskedFor) {
    const std::string_view lines = "{\"input\": \"i\", \"target\": \"1\", \"task\": [1]}\n";
    EXPECT_FALSE(read_split(spec("x.jsonl", lines)).has_tasks());
}

TEST_F(TaskFiles, NameTheLineThatHasNoTask) {
    const auto line = [](std::string_view task) {
        return "{\"input\": \"i\", \"target\": \"1\", \"task\": \"t\"}\n{\"input\": \"i\", "
               "\"target\": \"1\"" +
               std::string(task) + "}\n";
    };
    EXPECT_THAT(refusal(with_tasks(spec("x.jsonl", line("")))),
                AllOf(StartsWith("x.jsonl:2: no field \"task\" for the task: found \"input\", "
                                 "\"target\"."),
                      HasSubstr("--task-field")));
    EXPECT_EQ(refusal(with_tasks(spec("x.jsonl", line(", \"task\": \"\"")))),
              "x.jsonl:2: field \"task\" is empty; a task needs at least one character");
    EXPECT_EQ(refusal(with_tasks(spec("x.jsonl", line(", \"task\": null")))),
              "x.jsonl:2: field \"task\" is null; the task must be a string, a number, true or "
              "false");
    EXPECT_THAT(refusal(with_tasks(spec("x.csv", "input,target\na,b\n"))),
                StartsWith("x.csv:1: no field \"task\" for the task"));
    EXPECT_THAT(refusal(with_tasks(spec("x.csv", "input,target\na,b\n"), "target")),
                HasSubstr("target and task are both called \"target\""));
}

TEST_F(TaskFiles, AreWrittenAsTheyAreRead) {
    const auto examples = three_of_two_tasks();
    write_json_lines(path("x.jsonl"), examples);
    EXPECT_THAT(content(path("x.jsonl")),
                StartsWith("{\"input\": \"good\", \"target\": \"positive\", \"task\": "
                           "\"polarity\"}\n"));
    SplitSpec split;
    split.path = path("x.jsonl");
    EXPECT_EQ(read_split(with_tasks(split)).digest(), examples.digest());
}

TEST_F(TaskFiles, KeepTheirTasksWhenTheyAreSplit) {
    write_json_lines(path("x.jsonl"), three_of_two_tasks());
    SplitSpec split;
    split.path = path("x.jsonl");
    const auto parts =
        split_dataset(read_split(with_tasks(split)), {.parts = {{"train", 2}, {"test", 1}}});
    for (const auto& part : parts.parts) {
        for (std::size_t i = 0; i < part.examples.size(); ++i) {
            EXPECT_EQ(part.examples[i].target == "7" ? "Rechnen \xC3\xBC" : "polarity",
                      tasks_of(part.examples).at(i));
        }
    }
}

TEST_F(TaskFiles, AreMixedInTheOrderOfTheirTasks) {
    const auto summary = mix({.sources = {source("b", "input,target\ni,x\nj,y\n"),
                                          source("a \xE2\x86\x92 z", "input,target\ni,z\n")},
                              .out = path("out.jsonl"),
                              .seed = {}});
    EXPECT_EQ(content(path("out.jsonl")),
              "{\"input\": \"i\", \"target\": \"x\", \"task\": \"b\"}\n"
              "{\"input\": \"j\", \"target\": \"y\", \"task\": \"b\"}\n"
              "{\"input\": \"i\", \"target\": \"z\", \"task\": \"a \xE2\x86\x92 z\"}\n");
    const auto& part = summary.parts.at(0);
    ASSERT_EQ(part.tasks.size(), 2U);
    EXPECT_EQ(part.tasks[0].task, "b");
    EXPECT_EQ(part.tasks[0].count, 2U);
    EXPECT_EQ(part.tasks[1].count, 1U);
}

TEST_F(TaskFiles, AreShuffledBySeedAlone) {
    std::string content = "input,target\n";
    for (int i = 0; i < 20; ++i) {
        content += std::to_string(i) + ",x\n";
    }
    const auto mixed = [&](std::optional<std::uint64_t> seed) {
        (void)mix({.sources = {source("a", content), source("b", content)},
                   .out = path("out.jsonl"),
                   .seed = seed});
        SplitSpec split;
        split.path = path("out.jsonl");
        return read_split(with_tasks(split));
    };
    EXPECT_EQ(mixed(1).digest(), mixed(1).digest());
    EXPECT_NE(mixed(1).digest(), mixed(2).digest());
    EXPECT_NE(mixed(1).digest(), mixed({}).digest());
    auto shuffled = tasks_of(mixed(1));
    EXPECT_FALSE(std::is_sorted(shuffled.begin(), shuffled.end()));
    EXPECT_EQ(std::count(shuffled.begin(), shuffled.end(), "b"), 20);
}

TEST_F(TaskFiles, AreNotMixedWhenTheirTasksHaveNoNameOfTheirOwn) {
    const auto a = source("a", "input,target\ni,x\n");
    const auto refused = [&](const TaskSource& other) {
        return mix_refusal({.sources = {a, other}, .out = path("out.jsonl"), .seed = {}});
    };
    EXPECT_THAT(refused(a), HasSubstr("task \"a\" is named twice"));
    EXPECT_THAT(refused({.task = "", .from = a.from}), HasSubstr("a.csv: its task has no name"));
    EXPECT_THAT(refused({.task = "\xFF", .from = a.from}), HasSubstr("invalid UTF-8 at byte 1"));
    EXPECT_FALSE(std::filesystem::exists(path("out.jsonl")));
}

TEST_F(TaskFiles, AreNeverReplacedByTheirMixture) {
    const auto a = source("a", "input,target\ni,x\n");
    EXPECT_THAT(mix_refusal({.sources = {a}, .out = a.from.path, .seed = {}}),
                HasSubstr("is the file that is read"));
}

}  // namespace
}  // namespace dln
