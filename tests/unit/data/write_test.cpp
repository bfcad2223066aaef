#include "dln/data/write.hpp"

#include <csignal>

#include <gmock/gmock.h>
#include <sys/resource.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

class WriteJsonLines : public DataFolder {
  protected:
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(folder_), {}));
    }
};

Dataset one_example(std::string_view input = "a", std::string_view target = "x") {
    Dataset examples;
    examples.add(input, target);
    return examples;
}

TEST_F(WriteJsonLines, WritesWhatReadSplitReads) {
    Dataset examples;
    examples.add("quote \" backslash \\ break \r\n nul \0 \xE2\x80\xA8 \xF0\x9F\x98\x80"s, "x");
    examples.add("", " y ");
    write_json_lines(path("x.jsonl"), examples);
    SplitSpec split;
    split.path = path("x.jsonl");
    EXPECT_EQ(pairs_of(read_split(split)), pairs_of(examples));
}

TEST_F(WriteJsonLines, WritesOneObjectALine) {
    auto examples = one_example();
    examples.add("b\n", "y");
    write_json_lines(path("x.jsonl"), examples);
    EXPECT_EQ(content(path("x.jsonl")),
              "{\"input\": \"a\", \"target\": \"x\"}\n{\"input\": \"b\\n\", \"target\": \"y\"}\n");
}

TEST_F(WriteJsonLines, CreatesFoldersAndLeavesNothingElse) {
    write_json_lines(path("new/x.jsonl"), one_example());
    write_json_lines(path("new/x.jsonl"), one_example("b"));
    EXPECT_EQ(content(path("new/x.jsonl")), "{\"input\": \"b\", \"target\": \"x\"}\n");
    folder_ /= "new";
    EXPECT_EQ(files(), 1U);
}

TEST_F(WriteJsonLines, LeavesTheOldFileWhenATextIsNotUtf8) {
    write_json_lines(path("x.jsonl"), one_example());
    const auto before = content(path("x.jsonl"));
    auto examples = one_example("b");
    examples.add("bad \xFF", "x");
    EXPECT_THROW(write_json_lines(path("x.jsonl"), examples), UsageError);
    EXPECT_EQ(content(path("x.jsonl")), before);
    EXPECT_EQ(files(), 1U);
}

TEST_F(WriteJsonLines, LeavesTheOldFileWhenTheDiskRefuses) {
    write_json_lines(path("x.jsonl"), one_example());
    const auto before = content(path("x.jsonl"));
    // A limit on the size of files stands for a full disk.
    rlimit old{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    const rlimit small{.rlim_cur = 1000, .rlim_max = old.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    std::string message;
    try {
        write_json_lines(path("x.jsonl"), one_example(std::string(100000, 'b')));
    } catch (const UsageError& error) {
        message = error.what();
    }
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    EXPECT_THAT(message, HasSubstr("x.jsonl: cannot write the file: File too large"));
    EXPECT_EQ(content(path("x.jsonl")), before);
    EXPECT_EQ(files(), 1U);
}

TEST_F(WriteJsonLines, NamesTheFolderThatCannotBe) {
    const auto blocked = file("file", "");
    try {
        write_json_lines(blocked + "/x.jsonl", one_example());
        FAIL() << "nothing was thrown";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr(blocked));
    }
}

}  // namespace
}  // namespace dln
