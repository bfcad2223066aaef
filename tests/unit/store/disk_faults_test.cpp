// A disk that refuses: libfiu makes write, fsync, rename, open and close fail. Needs fiu_posix_preload (see
// CMakeLists.txt), which intercepts these calls.

#include <cerrno>
#include <string>

#include <fiu-control.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
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
    run.create("{}", "cafe", "model");
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
    run.create("{}", "cafe", "model");
    const Fault full{"posix/io/rw/write", "write", ENOSPC, "No space left on device"};
    EXPECT_THAT(message_under(full, [&] { run.append_metrics("{}"); }),
                AllOf(HasSubstr("metrics.jsonl"), HasSubstr(full.text)));
}

}  // namespace
}  // namespace dln
