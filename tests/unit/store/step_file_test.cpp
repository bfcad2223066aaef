// Step files on disk: damage, foreign files, other versions, and equal bytes for equal content.

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"

#include "sample_step.hpp"
#include "store/step_format.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_bytes;
using testing::sample_document;
using testing::sample_header;
using ::testing::ThrowsMessage;
using testing::write_bytes;

class StepFileTest : public ::testing::Test {
  protected:
    void SetUp() override {
        for (const std::int64_t step : {11, 12}) {
            store().save(sample_header(step), sample_document(step));
        }
    }
    CheckpointStore& store() { return *store_; }
    std::string newest() const { return directory_ / "000012.h5"; }
    const testing::TemporaryDirectory& directory() const { return directory_; }
    /// A sound file (seal and digest) with this header in place of step 12.
    void replace_newest(StepHeader header) {
        const StepDocument document = sample_document(12);
        if (header.digest.empty()) {
            header.digest = document.digest();
        }
        write_bytes(newest(), encode_step(header, document));
    }
    void expect_fallback(const std::string& reason) {
        const auto loaded = store().load_newest();
        ASSERT_TRUE(loaded.has_value());
        EXPECT_EQ(loaded->file.header.step, 11);
        EXPECT_THAT(loaded->skipped, ElementsAre(AllOf(HasSubstr(newest()), HasSubstr(reason))));
    }

  private:
    testing::TemporaryDirectory directory_;
    std::unique_ptr<CheckpointStore> store_ = make_hdf5_store(directory_.path(), "cafe");
};

TEST_F(StepFileTest, CutByOneByteIsPassedOver) {
    std::filesystem::resize_file(newest(), std::filesystem::file_size(newest()) - 1);
    expect_fallback("cut short");
}

TEST_F(StepFileTest, CutToHalfIsPassedOver) {
    std::filesystem::resize_file(newest(), std::filesystem::file_size(newest()) / 2);
    expect_fallback("cut short");
}

TEST_F(StepFileTest, CutInsideTheSealIsPassedOver) {
    for (const std::uintmax_t size : {1U, 30U, 60U, 511U, 512U}) {
        std::filesystem::resize_file(newest(), size);
        expect_fallback("cut short");
        write_bytes(newest(), read_bytes(directory() / "000011.h5"));
    }
}

TEST_F(StepFileTest, EmptyFileIsPassedOver) {
    std::filesystem::resize_file(newest(), 0);
    expect_fallback("is empty");
}

TEST_F(StepFileTest, OneFlippedBitAnywhereIsPassedOver) {
    const std::string sound = read_bytes(newest());
    for (std::size_t place = 0; place < sound.size(); place += sound.size() / 97) {
        std::string damaged = sound;
        damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
        write_bytes(newest(), damaged);
        expect_fallback("");
    }
}

TEST_F(StepFileTest, AppendedBytesArePassedOver) {
    write_bytes(newest(), read_bytes(newest()) + "x");
    expect_fallback("damaged");
}

TEST_F(StepFileTest, ContentThatIsNotThatOfTheDigestIsPassedOver) {
    StepHeader header = sample_header(12);
    header.digest = sample_document(13).digest();
    replace_newest(header);
    expect_fallback("digest");
}

TEST_F(StepFileTest, DamagedHdf5BehindASoundSealIsPassedOver) {
    std::string hdf5 = read_bytes(newest()).substr(kSealBytes);
    hdf5.resize(hdf5.size() / 2);
    write_bytes(newest(), make_seal(hdf5) + hdf5);
    expect_fallback("damaged");
}

TEST_F(StepFileTest, AnotherFileTypeIsPassedOver) {
    StepHeader header = sample_header(12);
    header.file_type = "dln-journal";
    replace_newest(header);
    expect_fallback("\"dln-journal\"");
}

TEST_F(StepFileTest, ForeignFilesArePassedOver) {
    write_bytes(newest(), read_bytes(newest()).substr(kSealBytes));
    expect_fallback("no step file of dln");
    write_bytes(newest(), "hello");
    expect_fallback("no step file of dln");
}

TEST_F(StepFileTest, AFileUnderAnotherStepsNameIsPassedOver) {
    write_bytes(newest(), read_bytes(directory() / "000011.h5"));
    expect_fallback("holds step 11");
}

TEST_F(StepFileTest, ADirectoryInThePlaceOfAFileIsPassedOver) {
    std::filesystem::remove(newest());
    std::filesystem::create_directory(newest());
    expect_fallback("Is a directory");
}

TEST_F(StepFileTest, NewerFormatStopsWithBothVersions) {
    StepHeader header = sample_header(12);
    header.format_version = kStepFormatVersion + 1;
    header.program_version = "0.9.2";
    replace_newest(header);
    EXPECT_THAT([this] { static_cast<void>(store().load_newest()); },
                ThrowsMessage<CheckpointError>(AllOf(HasSubstr(newest()), HasSubstr("format 4"),
                                                     HasSubstr("reads 3"), HasSubstr("0.9.2"))));
}

TEST_F(StepFileTest, AnotherJobsFileIsAUsageErrorWithBothHashes) {
    StepHeader header = sample_header(12);
    header.job_hash = "beef";
    replace_newest(header);
    EXPECT_THAT([this] { static_cast<void>(store().load_newest()); },
                ThrowsMessage<UsageError>(
                    AllOf(HasSubstr(newest()), HasSubstr("beef"), HasSubstr("cafe"))));
    EXPECT_EQ(make_hdf5_store(directory().path(), "")->load_newest()->file.header.job_hash, "beef");
}

TEST_F(StepFileTest, NothingUsableIsAnErrorThatListsEveryFile) {
    for (const char* name : {"000011.h5", "000012.h5"}) {
        std::filesystem::resize_file(directory() / name, 0);
    }
    EXPECT_THAT([this] { static_cast<void>(store().load_newest()); },
                ThrowsMessage<CheckpointError>(
                    AllOf(HasSubstr("000011.h5"), HasSubstr("000012.h5"), HasSubstr("is empty"))));
}

TEST_F(StepFileTest, OtherFilesInTheDirectoryAreNoSteps) {
    for (const char* name :
         {"notes.txt", "12.h5", "0000012.h5", "-00001.h5", "000013.h5.bak", ".h5"}) {
        write_bytes(directory() / name, "x");
    }
    EXPECT_THAT(store().steps(), ElementsAre(11, 12));
}

TEST_F(StepFileTest, EqualContentGivesEqualBytesInAnotherProcessAtAnotherTime) {
    const pid_t child = ::fork();
    if (child == 0) {
        const std::string disturbance(123'456, 'z');  // another heap
        store().save(sample_header(13), sample_document(12));
        ::_exit(disturbance.empty() ? 1 : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
    ::usleep(1'100'000);  // time stamps, if any, have seconds
    StepHeader header = sample_header(13);
    header.digest = sample_document(12).digest();
    EXPECT_TRUE(read_bytes(directory() / "000013.h5") == encode_step(header, sample_document(12)));
}

TEST_F(StepFileTest, ReadStepFileReadsAFileWhereverItLies) {
    const std::string elsewhere = directory() / "copy.bin";
    std::filesystem::rename(newest(), elsewhere);
    EXPECT_EQ(read_step_file(elsewhere).header.step, 12);
    EXPECT_THAT([this] { static_cast<void>(read_step_file(newest())); },
                ThrowsMessage<CheckpointError>(HasSubstr("No such file")));
}

TEST_F(StepFileTest, TemporaryFilesOfDeadWritersAreRemovedOnOpen) {
    const pid_t dead = ::fork();
    if (dead == 0) {
        ::_exit(0);
    }
    ::waitpid(dead, nullptr, 0);
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    const std::string base = std::string("000013.h5.tmp-") + host + "-";
    write_bytes(directory() / (base + std::to_string(dead)), "half");
    write_bytes(directory() / (base + std::to_string(::getpid())), "mine");
    write_bytes(directory() / "000013.h5.tmp-elsewhere-1", "young");
    write_bytes(directory() / "000013.h5.tmp-elsewhere-2", "old");
    std::filesystem::last_write_time(
        directory() / "000013.h5.tmp-elsewhere-2",
        std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
    static_cast<void>(make_hdf5_store(directory().path(), "cafe"));
    EXPECT_FALSE(std::filesystem::exists(directory() / (base + std::to_string(dead))));
    EXPECT_TRUE(std::filesystem::exists(directory() / (base + std::to_string(::getpid()))));
    EXPECT_TRUE(std::filesystem::exists(directory() / "000013.h5.tmp-elsewhere-1"));
    EXPECT_FALSE(std::filesystem::exists(directory() / "000013.h5.tmp-elsewhere-2"));
}

TEST(Hdf5Store, NeedsNoDirectoryUntilItSaves) {
    const auto store = make_hdf5_store("/nonexistent/steps", "cafe");
    EXPECT_FALSE(store->load_newest().has_value());
    EXPECT_THAT([&] { store->save(sample_header(), sample_document()); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr("/nonexistent/steps/000000.h5"), HasSubstr("No such file"))));
}

}  // namespace
}  // namespace dln
