// What both stores promise.

#include "dln/store/checkpoint_store.hpp"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "sample_step.hpp"
#include "support/temporary_directory.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::sample_document;
using testing::sample_header;

enum class Kind { memory, hdf5 };

class CheckpointStoreTest : public ::testing::TestWithParam<Kind> {
  protected:
    CheckpointStoreTest()
        : store_(GetParam() == Kind::memory ? make_memory_store()
                                            : make_hdf5_store(directory_.path(), "cafe")) {}
    CheckpointStore& store() { return *store_; }
    void save(std::int64_t step) { store_->save(sample_header(step), sample_document(step)); }

  private:
    testing::TemporaryDirectory directory_;
    std::unique_ptr<CheckpointStore> store_;
};

TEST_P(CheckpointStoreTest, IsEmptyAtFirst) {
    EXPECT_FALSE(store().load_newest().has_value());
    EXPECT_THAT(store().steps(), IsEmpty());
}

TEST_P(CheckpointStoreTest, GivesBackWhatWasSavedBitByBit) {
    save(7);
    const StepFile file = store().load(7);
    EXPECT_EQ(file.document.digest(), sample_document(7).digest());
    EXPECT_EQ(file.document.real("timing/seconds"), 1.5);
    EXPECT_EQ(file.document.arrays.size(), sample_document(7).arrays.size());
    for (const auto& [path, array] : sample_document(7).arrays) {
        EXPECT_EQ(file.document.at(path).shape, array.shape) << path;
        EXPECT_EQ(file.document.at(path).values.index(), array.values.index()) << path;
        if (path != "scores/matrix") {  // holds a NaN; the digest has compared it
            EXPECT_TRUE(file.document.at(path) == array) << path;
        }
    }
}

TEST_P(CheckpointStoreTest, FillsInTheDigestAndKeepsTheHeader) {
    save(7);
    const StepHeader header = store().load(7).header;
    EXPECT_EQ(header.digest, sample_document(7).digest());
    EXPECT_EQ(header.step, 7);
    EXPECT_EQ(header.job_hash, "cafe");
    EXPECT_EQ(header.program_version, "0.1.0");
    EXPECT_EQ(header.file_type, "dln-step");
    EXPECT_EQ(header.format_version, kStepFormatVersion);
}

TEST_P(CheckpointStoreTest, LoadsTheNewestByNumberNotByOrderOfSaving) {
    for (const std::int64_t step : {9, 10, 1'000'000, 999'999}) {
        save(step);
    }
    EXPECT_THAT(store().steps(), ElementsAre(9, 10, 999'999, 1'000'000));
    const auto newest = store().load_newest();
    ASSERT_TRUE(newest.has_value());
    EXPECT_EQ(newest->file.header.step, 1'000'000);
    EXPECT_THAT(newest->skipped, IsEmpty());
}

TEST_P(CheckpointStoreTest, SavingAStepAgainReplacesIt) {
    save(3);
    StepDocument other;
    other.arrays["x"] = Array::scalar(std::int64_t{1});
    store().save(sample_header(3), other);
    EXPECT_EQ(store().load(3).document.arrays, other.arrays);
}

TEST_P(CheckpointStoreTest, ReportsAStepThatIsNotThere) {
    save(3);
    EXPECT_THROW(static_cast<void>(store().load(4)), CheckpointError);
}

TEST_P(CheckpointStoreTest, PruneKeepsTheNewestAndTheBest) {
    for (std::int64_t step = 0; step < 6; ++step) {
        save(step);
    }
    store().prune({.newest = 0, .best_step = 1});
    EXPECT_THAT(store().steps(), ElementsAre(0, 1, 2, 3, 4, 5));
    store().prune({.newest = 2, .best_step = 1});
    EXPECT_THAT(store().steps(), ElementsAre(1, 4, 5));
    store().prune({.newest = 1, .best_step = -1});
    EXPECT_THAT(store().steps(), ElementsAre(5));
    store().prune({.newest = 3, .best_step = 0});
    EXPECT_THAT(store().steps(), ElementsAre(5));
}

TEST_P(CheckpointStoreTest, StoresAnEmptyDocument) {
    store().save(sample_header(0), {});
    EXPECT_THAT(store().load(0).document.arrays, IsEmpty());
}

TEST_P(CheckpointStoreTest, RefusesWhatNoFileCouldHold) {
    const auto save_array = [this](const std::string& path, Array array) {
        StepDocument document;
        document.arrays["a/b"] = Array::scalar(1.0);
        document.arrays[path] = std::move(array);
        store().save(sample_header(0), document);
    };
    EXPECT_THROW(save_array("", Array::scalar(1.0)), InternalError);
    EXPECT_THROW(save_array("a//c", Array::scalar(1.0)), InternalError);
    EXPECT_THROW(save_array("/c", Array::scalar(1.0)), InternalError);
    EXPECT_THROW(save_array("a", Array::scalar(1.0)), InternalError);
    EXPECT_THROW(save_array("a/b/c", Array::scalar(1.0)), InternalError);
    EXPECT_THROW(save_array("c", {{3}, std::vector<double>{1.0}}), InternalError);
    EXPECT_THAT(store().steps(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores,
                         CheckpointStoreTest,
                         ::testing::Values(Kind::memory, Kind::hdf5),
                         [](const auto& param) {
                             return param.param == Kind::memory ? "Memory" : "Hdf5";
                         });

}  // namespace
}  // namespace dln
