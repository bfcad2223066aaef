#include "dln/mop/hidden_states.hpp"

#include <cmath>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"
#include "unit/mop/small_model.hpp"

namespace dln::mop {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class HiddenStatesTest : public ::testing::Test {
  protected:
    [[nodiscard]] HiddenStates states(const std::string& folder = "cache",
                                      const std::string& identity = "small:1",
                                      std::size_t block = 1) const {
        return {weights_, identity, block, directory_ / folder};
    }
    [[nodiscard]] std::size_t files(const std::string& folder = "cache") const {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator(directory_ / folder)) {
            ++count;
        }
        return count;
    }

    const testing::TemporaryDirectory directory_;
    const LlamaWeights weights_ = small_model();
    const std::vector<GatedText> texts_{{{1, 2, 3, 4, 5}, 3}, {{7, 1}, 1}, {{10, 9, 8, 7}, 4},
                                        {{1, 2, 3}, 3},       {{0}, 1},    {{5, 5, 5, 5, 5, 5}, 2}};
};

TEST_F(HiddenStatesTest, AreThoseOfTheBlocksBelow) {
    nn::Tape tape;
    const nn::Variable in = tape.constant(embed(weights_, texts_[0].tokens));
    const nn::Matrix expected = tape.value(run_blocks(tape, weights_, in, {5}, 0, 1));
    const HiddenStates cache = states();
    EXPECT_TRUE(cache.ensure(texts_[0]));
    EXPECT_FALSE(cache.ensure(texts_[0])) << "it is there";
    EXPECT_EQ(cache.read(texts_[0]).rows, expected);
    EXPECT_EQ(cache.read(texts_[0]).gate_input, cache.gate_input(texts_[0]));
}

TEST_F(HiddenStatesTest, GateSeesTheMeanOfInstructionAndInputAtSizeOne) {
    const HiddenState state = states().read(texts_[0]);
    double squares = 0.0;
    for (const float z : state.gate_input) squares += static_cast<double>(z) * z;
    EXPECT_NEAR(squares / 8.0, 1.0, 1e-5);
    const auto sum = [&state](std::size_t c) {
        return state.rows.row(0)[c] + state.rows.row(1)[c] + state.rows.row(2)[c];
    };
    for (std::size_t c = 1; c < 8; ++c) {
        EXPECT_NEAR(state.gate_input[c] * sum(0), state.gate_input[0] * sum(c), 1e-4);
    }
}

TEST_F(HiddenStatesTest, HaveTheSameBitsWhoeverMakesThem) {
    EXPECT_EQ(states("one").ensure_share(texts_, 0, 1), 6U);
    // Three ranks, the last one first.
    for (const std::size_t rank : {2U, 1U, 0U}) {
        EXPECT_EQ(states("three").ensure_share(texts_, rank, 3), 2U);
    }
    const HiddenStates one = states("one");
    const HiddenStates three = states("three");
    for (const GatedText& text : texts_) {
        EXPECT_EQ(testing::read_bytes(one.path_of(text)), testing::read_bytes(three.path_of(text)));
    }
    EXPECT_EQ(files("three"), 6U);
}

TEST_F(HiddenStatesTest, AreKeyedByAllThatTheyDependOn) {
    const HiddenStates cache = states();
    std::set<std::string> paths{cache.path_of(texts_[0]), cache.path_of(texts_[1]),
                                cache.path_of({{1, 2, 3, 4, 5}, 2}),
                                states("cache", "small:1:wanda").path_of(texts_[0]),
                                states("cache", "small:1", 2).path_of(texts_[0])};
    EXPECT_EQ(paths.size(), 5U);
    EXPECT_EQ(cache.path_of(texts_[0]), states().path_of(texts_[0]));
}

TEST_F(HiddenStatesTest, MissingOnesAreMadeWhenTheyAreRead) {
    const HiddenStates cache = states();
    ::testing::internal::CaptureStdout();
    (void)cache.gate_input(texts_[3]);
    EXPECT_THAT(::testing::internal::GetCapturedStdout(), IsEmpty()) << "nothing is wrong";
    EXPECT_FALSE(cache.ensure(texts_[3]));
}

TEST_F(HiddenStatesTest, DamagedFilesAreMadeAgainWithAWarning) {
    const HiddenStates cache = states();
    (void)cache.ensure(texts_[0]);
    const std::string path = cache.path_of(texts_[0]);
    const std::string good = testing::read_bytes(path);
    (void)cache.ensure(texts_[1]);
    std::vector<std::string> damaged{"",
                                     good.substr(0, 20),
                                     good.substr(0, good.size() - 1),
                                     good.substr(0, 60),
                                     std::string(good.size(), '\0'),
                                     testing::read_bytes(cache.path_of(texts_[1]))};
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{12}, std::size_t{60}, good.size() - 1}) {
        damaged.push_back(good);
        damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 4);
    }
    for (const std::string& bytes : damaged) {
        testing::write_bytes(path, bytes);
        ::testing::internal::CaptureStdout();
        EXPECT_TRUE(cache.ensure(texts_[0]));
        EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr(path));
        EXPECT_EQ(testing::read_bytes(path), good);
    }
}

TEST_F(HiddenStatesTest, GateInputIsCheckedWithoutTheRows) {
    const HiddenStates cache = states();
    (void)cache.ensure(texts_[2]);
    const std::string path = cache.path_of(texts_[2]);
    const std::vector<float> right = cache.gate_input(texts_[2]);
    std::string bytes = testing::read_bytes(path);
    bytes[60] = static_cast<char>(bytes[60] ^ 1);
    testing::write_bytes(path, bytes);
    EXPECT_EQ(cache.gate_input(texts_[2]), right);
}

TEST_F(HiddenStatesTest, ProcessesMayMakeTheSameOnesAtOnce) {
    std::vector<pid_t> children;
    for (int child = 0; child < 3; ++child) {
        children.push_back(::fork());
        if (children.back() == 0) {
            const HiddenStates cache = states();
            for (const GatedText& text : texts_) (void)cache.ensure(text);
            ::_exit(0);
        }
    }
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    const HiddenStates cache = states();
    EXPECT_EQ(files(), texts_.size()) << "no temporary file is left";
    EXPECT_EQ(cache.ensure_share(texts_, 0, 1), 0U);
}

TEST_F(HiddenStatesTest, FolderThatCannotBeMadeIsNamed) {
    testing::write_bytes(directory_ / "file", "in the way");
    EXPECT_THAT([this] { (void)states("file/cache"); },
                ThrowsMessage<Error>(HasSubstr(directory_ / "file")));
}

}  // namespace
}  // namespace dln::mop
