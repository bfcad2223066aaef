#include "dln/mop/compress.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/llm/model_variant.hpp"
#include "dln/mop/base_model.hpp"
#include "dln/nn/operations.hpp"

#include "support/temporary_cache.hpp"
#include "support/tiny_gguf.hpp"

namespace dln::mop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Ne;
using ::testing::Not;
using ::testing::ThrowsMessage;

TEST(Prune, TakesTheSmallestScoresOfEachRowTheFirstAmongEquals) {
    std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8};
    prune(std::vector<double>{9, 1, 1, 1, 4, 3, 2, 1}, 4, 0.5, values);
    EXPECT_THAT(values, ElementsAre(1, 0, 0, 4, 5, 6, 0, 0));
}

TEST(Prune, RoundsTheCountDown) {
    std::vector<float> values{1, 2, 3};
    prune(std::vector<double>{1, 2, 3}, 3, 0.6, values);
    EXPECT_THAT(values, ElementsAre(0, 2, 3));
    prune(std::vector<double>{1, 2, 3}, 3, 0.3, values);
    EXPECT_THAT(values, ElementsAre(0, 2, 3));
}

TEST(Prune, MagnitudeIgnoresTheSign) {
    EXPECT_THAT(magnitude_scores(std::vector<float>{-3, 2, 0}), ElementsAre(3, 2, 0));
}

TEST(Prune, WandaWeighsByTheNormOfWhatComesIn) {
    // Two rows; columns of norms 2 and 10.
    EXPECT_THAT(wanda_scores(std::vector<float>{-3, 1, 4, 0.5F}, std::vector<double>{4, 100}),
                ElementsAre(6, 10, 8, 5));
}

TEST(RoundThrough, StaysWithinHalfAStepOfTheStorageType) {
    std::vector<float> values(64);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
    for (const auto& [type, steps] :
         {std::pair{StorageType::q8_0, 254.0F}, std::pair{StorageType::q4_1, 15.0F}}) {
        std::vector<float> rounded = values;
        round_through(type, 32, rounded);
        EXPECT_THAT(rounded, Not(values));
        for (std::size_t i = 0; i < values.size(); ++i) {
            EXPECT_NEAR(rounded[i], values[i], 1.05F / steps) << i;
        }
    }
    std::vector<float> same = values;
    round_through(StorageType::f32, 7, same);
    EXPECT_EQ(same, values);
}

TEST(RoundThrough, RefusesRowsThatAreNoMultipleOfABlock) {
    std::vector<float> values(48);
    EXPECT_THAT(
        [&] { round_through(StorageType::q4_1, 48, values); },
        ThrowsMessage<BackendError>(HasSubstr("rows of 48 numbers cannot be stored as q4_1")));
}

class CompressedTest : public ::testing::Test {
  protected:
    CompressedTest() {
        const testing::TinyGguf file;
        file.write(cache_.directory() / "tiny.gguf");
        source_ = open_gguf_weights(cache_.directory() / "tiny.gguf", "/model");
    }
    [[nodiscard]] GgufWeights made(Pruning pruning,
                                   double sparsity,
                                   StorageType storage = StorageType::f32) const {
        return compressed(source_, {.pruning = pruning, .sparsity = sparsity, .storage = storage},
                          texts_);
    }
    static std::vector<float> values_of(const FloatTensor& tensor) {
        return {tensor.values, tensor.values + tensor.rows * tensor.columns};
    }
    static std::ptrdiff_t zeros(const std::vector<float>& values) {
        return std::ranges::count(values, 0.0F);
    }
    [[nodiscard]] std::vector<std::string> variants() const {
        std::vector<std::string> names;
        for (const auto& entry :
             std::filesystem::directory_iterator(cache_.directory() / "models")) {
            const std::string name = entry.path().filename().string();
            if (name != ".convert.lock") names.push_back(name);
        }
        return names;
    }

    const testing::TemporaryCache cache_;
    GgufWeights source_;
    const std::vector<std::vector<std::int32_t>> texts_{{1, 2, 3, 4, 5}, {7, 30, 2}};
};

TEST_F(CompressedTest, OnlyLinearLayersOfBlocksAreChanged) {
    const GgufWeights variant = made(Pruning::magnitude, 0.5);
    EXPECT_EQ(values_of(variant.embedding), values_of(source_.embedding));
    EXPECT_EQ(values_of(variant.output_norm), values_of(source_.output_norm));
    for (std::size_t t = 0; t < kBlockTensors; ++t) {
        const auto which = static_cast<BlockTensor>(t);
        const std::vector<float> values = values_of(variant.blocks[1][which]);
        if (std::ranges::find(kLinearLayers, which) == kLinearLayers.end()) {
            EXPECT_EQ(values, values_of(source_.blocks[1][which])) << t;
        } else {
            EXPECT_EQ(zeros(values), std::ssize(values) / 2) << t;
        }
    }
    EXPECT_EQ(variant.shape.head_size, source_.shape.head_size);
}

TEST_F(CompressedTest, WandaPrunesEachRowByTheActivationsOfTheTexts) {
    const GgufWeights variant = made(Pruning::wanda, 0.75);
    // What goes into q of block 0: the normed vectors of all tokens.
    const LlamaWeights weights = llama_weights(source_);
    std::vector<double> square_sums(64);
    for (const auto& text : texts_) {
        nn::Tape tape;
        const nn::Matrix in = tape.value(rms_norm(tape, tape.constant(embed(weights, text)),
                                                  weights.blocks[0].attention_norm, 1e-5F));
        for (std::size_t r = 0; r < in.rows; ++r) {
            for (std::size_t c = 0; c < 64; ++c) {
                square_sums[c] += std::pow(static_cast<double>(in.row(r)[c]), 2);
            }
        }
    }
    std::vector<float> expected = values_of(source_.blocks[0][BlockTensor::q]);
    prune(wanda_scores(expected, square_sums), 64, 0.75, expected);
    EXPECT_EQ(values_of(variant.blocks[0][BlockTensor::q]), expected);
    const std::vector<float> down = values_of(variant.blocks[1][BlockTensor::ffn_down]);
    for (std::size_t row = 0; row < 64; ++row) {
        EXPECT_EQ(std::count(down.begin() + static_cast<std::ptrdiff_t>(row) * 96,
                             down.begin() + static_cast<std::ptrdiff_t>(row + 1) * 96, 0.0F),
                  72);
    }
}

TEST_F(CompressedTest, WandaMeasuresLaterBlocksBehindCompressedOnes) {
    const GgufWeights variant = made(Pruning::wanda, 0.5);
    // Block 1's q sees what block 0 gives once it is pruned.
    LlamaWeights pruned = llama_weights(variant);
    std::vector<double> square_sums(64);
    for (const auto& text : texts_) {
        nn::Tape tape;
        const nn::Variable in = tape.constant(embed(pruned, text));
        const nn::Variable hidden = run_blocks(tape, pruned, in, {text.size()}, 0, 1);
        const nn::Matrix& normed =
            tape.value(rms_norm(tape, hidden, pruned.blocks[1].attention_norm, 1e-5F));
        for (std::size_t r = 0; r < normed.rows; ++r) {
            for (std::size_t c = 0; c < 64; ++c) {
                square_sums[c] += std::pow(static_cast<double>(normed.row(r)[c]), 2);
            }
        }
    }
    std::vector<float> expected = values_of(source_.blocks[1][BlockTensor::q]);
    prune(wanda_scores(expected, square_sums), 64, 0.5, expected);
    EXPECT_EQ(values_of(variant.blocks[1][BlockTensor::q]), expected);
}

TEST_F(CompressedTest, PrunedWeightsStayZeroWhenRounded) {
    const std::vector<float> pruned =
        values_of(made(Pruning::magnitude, 0.5).blocks[0][BlockTensor::ffn_up]);
    const std::vector<float> both =
        values_of(made(Pruning::magnitude, 0.5, StorageType::q4_1).blocks[0][BlockTensor::ffn_up]);
    std::vector<float> rounded = pruned;
    round_through(StorageType::q4_1, 64, rounded);
    for (std::size_t i = 0; i < pruned.size(); ++i) {
        EXPECT_EQ(both[i], pruned[i] == 0.0F ? 0.0F : rounded[i]) << i;
    }
}

TEST_F(CompressedTest, EachKindIsAFileMadeOnce) {
    const std::string first = made(Pruning::wanda, 0.5).path;
    const auto written = std::filesystem::last_write_time(first);
    const GgufWeights again = made(Pruning::wanda, 0.5);
    EXPECT_EQ(again.path, first);
    EXPECT_EQ(std::filesystem::last_write_time(first), written);
    EXPECT_THAT(first, HasSubstr("/models/tiny.wanda-0.5-"));
    const GgufWeights other = compressed(source_, {.pruning = Pruning::wanda}, {{1, 2, 3}});
    EXPECT_THAT(other.path, Ne(first)) << "other calibration texts";
    EXPECT_THAT(other.identity, Ne(again.identity));
    EXPECT_THAT(made(Pruning::wanda, 0.75).path, Ne(first));
    EXPECT_EQ(variants().size(), 3U);
    EXPECT_EQ(compressed(source_, {}, {}).path, source_.path);
}

TEST_F(CompressedTest, ProcessesThatWantItAtOnceMakeItOnce) {
    ::testing::internal::CaptureStdout();
    std::vector<pid_t> children;
    for (int child = 0; child < 3; ++child) {
        children.push_back(::fork());
        if (children.back() == 0) {
            const GgufWeights variant = made(Pruning::wanda, 0.5);
            ::_exit(zeros(values_of(variant.blocks[1][BlockTensor::v])) == 32 * 64 / 2 ? 0 : 1);
        }
    }
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    const std::string said = ::testing::internal::GetCapturedStdout();
    const std::size_t first = said.find("making ");
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(said.find("making ", first + 1), std::string::npos) << said;
    EXPECT_EQ(variants().size(), 1U);
}

TEST_F(CompressedTest, DamagedFileIsMadeAgain) {
    const GgufWeights first = made(Pruning::none, 0.0, StorageType::q8_0);
    const std::string good = testing::read_bytes(first.path);
    const std::string temporary = first.path + ".tmp-1";
    testing::write_bytes(temporary, "left by a killed process");
    std::string flipped = good;
    flipped[flipped.size() - 1000] = static_cast<char>(flipped[flipped.size() - 1000] ^ 1);
    for (const std::string& bad : {flipped, good.substr(0, good.size() / 2), std::string()}) {
        std::filesystem::remove(first.path);  // what is mapped stays as it is
        testing::write_bytes(first.path, bad);
        const GgufWeights again = made(Pruning::none, 0.0, StorageType::q8_0);
        EXPECT_EQ(again.identity, first.identity);
        EXPECT_EQ(testing::read_bytes(again.path), good);
    }
    EXPECT_FALSE(std::filesystem::exists(temporary));
}

TEST_F(CompressedTest, CacheThatCannotHoldItIsToldWithTheRemedy) {
    std::filesystem::remove_all(cache_.directory() / "models");
    testing::write_bytes(cache_.directory() / "models", "a file in the way");
    EXPECT_THAT([this] { (void)made(Pruning::magnitude, 0.5); },
                ThrowsMessage<BackendError>(HasSubstr("Set DLN_CACHE to a folder")));
}

}  // namespace
}  // namespace dln::mop
