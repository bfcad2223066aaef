#include "dln/store/sealed_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_bytes;
using ::testing::StartsWith;
using testing::write_bytes;

class SealedLogTest : public ::testing::Test {
  protected:
    void append(const std::vector<std::string>& objects) {
        SealedLog log(path_);
        static_cast<void>(log.take(lock_));
        for (const std::string& object : objects) log.append(object);
    }

    testing::TemporaryDirectory directory_;
    std::string path_ = directory_ / "log.jsonl";
    std::string lock_ = directory_ / "lock";
};

TEST_F(SealedLogTest, HasWhatSeveralWritersAppendedOneAfterTheOther) {
    EXPECT_THAT(SealedLog(path_).read().lines, IsEmpty());
    append({R"({"a":1})", R"({"b":2})"});
    append({R"({"c":3})"});
    const SealedLog::Content content = SealedLog(path_).read();
    EXPECT_THAT(content.lines, ElementsAre(StartsWith(R"({"a":1,"xxh3":")"),
                                           StartsWith(R"({"b":2,)"), StartsWith(R"({"c":3,)")));
    EXPECT_THAT(content.fault, IsEmpty());
}

TEST_F(SealedLogTest, LineThatAKillTornIsWrittenOver) {
    append({R"({"a":1})", R"({"b":2})"});
    const std::string whole = read_bytes(path_);
    write_bytes(path_, whole.substr(0, whole.size() - 1));
    const SealedLog::Content content = SealedLog(path_).read();
    EXPECT_THAT(content.lines, ElementsAre(StartsWith(R"({"a":1)")));
    EXPECT_THAT(content.fault, IsEmpty());
    append({R"({"b":2})"});
    EXPECT_EQ(read_bytes(path_), whole);
}

TEST_F(SealedLogTest, DamagedLineAndAllBehindItAreKeptBeside) {
    append({R"({"a":1})", R"({"b":2})", R"({"c":3})"});
    std::string damaged = read_bytes(path_);
    damaged[damaged.find("b\":2") + 3] = '7';
    write_bytes(path_, damaged);
    SealedLog log(path_);
    const SealedLog::Content content = log.take(lock_);
    EXPECT_THAT(content.lines, ElementsAre(StartsWith(R"({"a":1)")));
    EXPECT_THAT(content.fault, HasSubstr("log.jsonl: line 2 is damaged"));
    EXPECT_EQ(read_bytes(path_ + ".damaged"), damaged);
    log.append(R"({"d":4})");
    EXPECT_THAT(SealedLog(path_).read().lines,
                ElementsAre(StartsWith(R"({"a":1)"), StartsWith(R"({"d":4)")));
}

TEST_F(SealedLogTest, SecondWriterIsRefused) {
    SealedLog log(path_);
    static_cast<void>(log.take(lock_));
    SealedLog other(path_);
    EXPECT_THROW(static_cast<void>(other.take(lock_)), UsageError);
}

}  // namespace
}  // namespace dln
