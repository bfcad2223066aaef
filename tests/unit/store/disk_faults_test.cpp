// A disk that refuses: libfiu makes write, fsync, rename, open and close fail. Needs fiu_posix_preload (see
// CMakeLists.txt), which intercepts these calls.

#include <cerrno>
#include <string>

#include <fiu-control.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/journal.hpp"
#include "dln/store/run_directory.hpp"

#include "sample_step.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::sample_document;
using testing::sample_header;

struct Fault {
    const char* point;  ///< libfiu's name
    const char* call;
    int error;
    const char* text;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.call << ": " << fault.text; }

/// The message of the Error that `work` throws while `fault` is on; "" when it throws none.
template <class Work>
std::string message_under(const Fault& fault, Work work) {
    fiu_enable(fault.point, 1, reinterpret_cast<void*>(static_cast<std::intptr_t>(fault.error)), 0);
    std::string message;
    try {
        work();
    } catch (const Error& error) {
        message = error.what();
    }
    fiu_disable(fault.point);
    return message;
}

class DiskFault : public ::testing::TestWithParam<Fault> {};

TEST_P(DiskFault, WhileSavingNamesPathAndReasonAndLeavesTheEarlierSteps) {
    const testing::TemporaryDirectory directory;
    const auto store = make_hdf5_store(directory.path(), "cafe");
    store->save(sample_header(1), sample_document(1));
    const std::string message =
        message_under(GetParam(), [&] { store->save(sample_header(2), sample_document(2)); });
    EXPECT_THAT(message, AllOf(HasSubstr(directory / "000002.h5"), HasSubstr(GetParam().call),
                               HasSubstr(GetParam().text)));
    EXPECT_THAT(directory.names(), ElementsAre("000001.h5"));
    EXPECT_EQ(store->load_newest()->file.header.step, 1);
    store->save(sample_header(2), sample_document(2));  // once there is room again
    EXPECT_EQ(store->load_newest()->file.header.step, 2);
}

TEST_P(DiskFault, WhileWritingLatestLeavesTheOldOne) {
    const testing::TemporaryDirectory directory;
    RunDirectory run(directory / "run");
    run.create("{}", "cafe", {.forward = "model"});
    run.set_latest(1);
    EXPECT_THAT(message_under(GetParam(), [&] { run.set_latest(2); }),
                HasSubstr(run.file("LATEST")));
    EXPECT_EQ(run.latest(), "000001.h5");
}

INSTANTIATE_TEST_SUITE_P(
    Faults,
    DiskFault,
    ::testing::Values(Fault{"posix/io/rw/write", "write", ENOSPC, "No space left on device"},
                      Fault{"posix/io/rw/write", "write", EIO, "Input/output error"},
                      Fault{"posix/io/rw/write", "write", EDQUOT, "Disk quota exceeded"},
                      Fault{"posix/io/sync/fsync", "fsync", EIO, "Input/output error"},
                      Fault{"posix/io/dir/rename", "rename", ENOSPC, "No space left on device"},
                      Fault{"posix/io/oc/open", "open", EROFS, "Read-only file system"},
                      Fault{"posix/io/oc/close", "close", EIO, "Input/output error"}));

TEST(DiskFaults, MetricsLineThatCannotBeWrittenIsAnError) {
    const testing::TemporaryDirectory directory;
    RunDirectory run(directory / "run");
    run.create("{}", "cafe", {.forward = "model"});
    const Fault full{"posix/io/rw/write", "write", ENOSPC, "No space left on device"};
    EXPECT_THAT(message_under(full, [&] { run.append_metrics("{}"); }),
                AllOf(HasSubstr("metrics.jsonl"), HasSubstr(full.text)));
}

class JournalFault : public ::testing::TestWithParam<Fault> {};

TEST_P(JournalFault, IsToldOnceWithThePathAndLeavesTheEarlierReplies) {
    const testing::TemporaryDirectory directory;
    const auto ask = [](std::string_view body) { return PaidRequest{"model", "/path", body}; };
    Journal journal = Journal::read_write(directory.path(), 0);
    journal.put(ask("a"), "1");
    const auto put_and_sync = [&] {
        journal.put(ask("b"), "2");
        journal.sync();
    };
    EXPECT_THAT(message_under(GetParam(), put_and_sync),
                AllOf(HasSubstr(directory / "rank-0.jsonl"), HasSubstr(GetParam().call),
                      HasSubstr(GetParam().text), HasSubstr("takes no more replies")));
    EXPECT_EQ(message_under(GetParam(), put_and_sync), "");
    journal.put(ask("c"), "3");  // also when there is room again: the file's end may be torn
    EXPECT_FALSE(journal.takes_replies());
    EXPECT_EQ(journal.find(ask("a")), "1");
    EXPECT_EQ(journal.find(ask("c")), std::nullopt);
    EXPECT_EQ(Journal::read_only(directory.path()).find(ask("a")), "1");
}

INSTANTIATE_TEST_SUITE_P(
    Faults,
    JournalFault,
    ::testing::Values(Fault{"posix/io/rw/write", "write", ENOSPC, "No space left on device"},
                      Fault{"posix/io/rw/write", "write", EIO, "Input/output error"},
                      Fault{"posix/io/sync/fdatasync", "fdatasync", EIO, "Input/output error"}));

TEST(DiskFaults, JournalThatCannotMakeItsFileTakesNothing) {
    const testing::TemporaryDirectory directory;
    Journal journal = Journal::read_write(directory.path(), 0);
    const Fault fault{"posix/io/oc/open", "open", EROFS, "Read-only file system"};
    EXPECT_THAT(message_under(fault,
                              [&] {
                                  journal.put({"m", "/p", "a"}, "1");
                              }),
                AllOf(HasSubstr(directory / "rank-0.jsonl"), HasSubstr(fault.text)));
    journal.put({"m", "/p", "a"}, "1");
    EXPECT_THAT(directory.names(), ::testing::IsEmpty());
    EXPECT_EQ(journal.find({"m", "/p", "a"}), std::nullopt);
}

TEST(DiskFaults, JournalLineSurvivesShortAndInterruptedWrites) {
    const testing::TemporaryDirectory directory;
    Journal journal = Journal::read_write(directory.path(), 0);
    void* const interrupted = reinterpret_cast<void*>(static_cast<std::intptr_t>(EINTR));
    fiu_enable("posix/io/rw/write/reduce", 1, nullptr, 0);
    fiu_enable_random("posix/io/rw/write", 1, interrupted, 0, 0.5F);
    for (int i = 0; i < 50; ++i) {
        journal.put({"m", "/p", std::to_string(i)}, std::string(5000, 'x'));
    }
    fiu_disable("posix/io/rw/write");
    fiu_disable("posix/io/rw/write/reduce");
    const Journal next = Journal::read_only(directory.path());
    EXPECT_EQ(next.counts().held, 50);
    EXPECT_EQ(next.counts().skipped_lines + next.counts().torn_tails, 0);
}

TEST(DiskFaults, JournalThatCannotBeReadIsAnErrorAtTheStartAndAMissLater) {
    const testing::TemporaryDirectory directory;
    Journal::read_write(directory.path(), 0).put({"m", "/p", "a"}, "1");
    Journal journal = Journal::read_only(directory.path());
    const Fault at_start{"posix/io/rw/read", "read", EIO, "Input/output error"};
    EXPECT_THAT(
        message_under(at_start, [&] { static_cast<void>(Journal::read_only(directory.path())); }),
        AllOf(HasSubstr(directory / "rank-0.jsonl"), HasSubstr(at_start.text)));
    const Fault later{"posix/io/rw/pread", "pread", EIO, "Input/output error"};
    EXPECT_EQ(message_under(later,
                            [&] {
                                EXPECT_EQ(journal.find({"m", "/p", "a"}), std::nullopt);
                            }),
              "");
    EXPECT_EQ(journal.counts().skipped_lines, 1);
}

}  // namespace
}  // namespace dln
