// Typed access to a step's content, and what its digest covers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"

#include "sample_step.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string digest_of(const Array& array, const std::string& path = "a") {
    StepDocument document;
    document.arrays[path] = array;
    return document.digest();
}

TEST(StepDocument, GivesTypedValues) {
    StepDocument document;
    document.arrays["i"] = Array::scalar(std::int64_t{4});
    document.arrays["d"] = Array::scalar(0.5);
    document.arrays["s"] = Array::scalar(std::string("text"));
    document.arrays["list"] = Array::list(std::vector<std::int64_t>{1, 2});
    EXPECT_EQ(document.integer("i"), 4);
    EXPECT_EQ(document.real("d"), 0.5);
    EXPECT_EQ(document.text("s"), "text");
    EXPECT_EQ(document.integers("list"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_TRUE(document.contains("d"));
    EXPECT_FALSE(document.contains("e"));
}

TEST(StepDocument, NamesThePathThatIsAbsentOrOfAnotherType) {
    StepDocument document;
    document.arrays["state/x"] = Array::list(std::vector<std::int64_t>{1});
    EXPECT_THAT([&] { static_cast<void>(document.at("state/y")); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/y")));
    EXPECT_THAT([&] { static_cast<void>(document.reals("state/x")); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/x holds integers, wanted reals")));
    EXPECT_THAT([&] { static_cast<void>(document.integer("state/x")); },
                ThrowsMessage<CheckpointError>(HasSubstr("wanted a scalar")));
}

TEST(StepDigest, IsThatOfTheDocumentedSerialisation) {
    StepDocument document;
    document.arrays["a/b"] = Array::list(std::vector<std::int64_t>{1, -1});
    document.arrays["c"] = Array::scalar(1.0);
    document.arrays["d"] = Array::scalar(std::string("xy"));
    // python3: le = lambda n: (n % 2**64).to_bytes(8, "little")
    // hashlib.sha256(le(3)+b"a/b"+b"i"+le(1)+le(2)+le(1)+le(-1) + le(1)+b"c"+b"d"+le(0)+
    //     struct.pack("<d", 1.0) + le(1)+b"d"+b"s"+le(0)+le(2)+b"xy").hexdigest()
    EXPECT_EQ(document.digest(),
              "720b5ff6b3c19e3eb458bfc9ff56fe8292867ae0deb49c3b078ef45b28c3c2f4");
}

TEST(StepDigest, DiffersByPathTypeShapeAndValue) {
    const std::string digest = digest_of(Array::list(std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(digest, digest_of(Array::list(std::vector<std::int64_t>{1, 2})));
    EXPECT_NE(digest, digest_of(Array::list(std::vector<std::int64_t>{1, 2}), "b"));
    EXPECT_NE(digest, digest_of(Array::list(std::vector<std::int64_t>{2, 1})));
    EXPECT_NE(digest, digest_of(Array::table(1, 2, std::vector<std::int64_t>{1, 2})));
    EXPECT_NE(digest_of(Array::scalar(std::int64_t{0})), digest_of(Array::scalar(0.0)));
    EXPECT_NE(digest_of(Array::scalar(0.0)), digest_of(Array::scalar(-0.0)));
    EXPECT_NE(digest_of(Array::list(std::vector<std::string>{"ab", "c"})),
              digest_of(Array::list(std::vector<std::string>{"a", "bc"})));
}

TEST(StepDigest, LeavesMeasurementsOut) {
    StepDocument document = testing::sample_document();
    const std::string digest = document.digest();
    document.arrays["timing/seconds"] = Array::scalar(99.0);
    document.arrays["timing/by_rank"] = Array::list(std::vector<double>{1, 2});
    EXPECT_EQ(document.digest(), digest);
    document.arrays["timings"] = Array::scalar(1.0);
    EXPECT_NE(document.digest(), digest);
}

}  // namespace
}  // namespace dln
