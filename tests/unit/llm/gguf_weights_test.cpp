#include "dln/llm/gguf_weights.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include <gmock/gmock.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"
#include "support/tiny_gguf.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using testing::TinyGguf;

class GgufWeightsTest : public ::testing::Test {
  protected:
    [[nodiscard]] GgufWeights open() const { return open_gguf_weights(path_, "/model"); }
    /// The file, spoilt by `spoil`, is refused with a message that has its path and `words`.
    void expect_refusal(const std::string& words,
                        const std::function<void(TinyGguf&)>& spoil) const {
        TinyGguf file;
        spoil(file);
        file.write(path_);
        expect_refusal(words);
    }
    void expect_refusal(const std::string& words) const {
        EXPECT_THAT([this] { (void)open(); },
                    ThrowsMessage<BackendError>(AllOf(HasSubstr(path_), HasSubstr(words))));
    }

    const testing::TemporaryDirectory directory_;
    const std::string path_ = directory_ / "tiny.gguf";
};

TEST_F(GgufWeightsTest, AreThoseOfTheFile) {
    TinyGguf file;
    file.write(path_);
    const GgufWeights weights = open();
    EXPECT_EQ(weights.shape.blocks, 2U);
    EXPECT_EQ(weights.shape.width, 64U);
    EXPECT_EQ(weights.shape.inner_width, 96U);
    EXPECT_EQ(weights.shape.kv_heads, 2U);
    EXPECT_EQ(weights.shape.head_size, 16U);
    EXPECT_EQ(weights.shape.vocabulary, 40U);
    EXPECT_EQ(weights.shape.rope_base, 10000.0F);
    EXPECT_FALSE(weights.output);
    const FloatTensor& down = weights.blocks[1][BlockTensor::ffn_down];
    EXPECT_EQ(down.rows, 64U);
    EXPECT_EQ(down.columns, 96U);
    const float* expected = file.values("blk.1.ffn_down.weight");
    EXPECT_TRUE(std::equal(expected, expected + 64 * 96, down.values));
    EXPECT_THAT(weights.identity, HasSubstr("tiny:"));
}

TEST_F(GgufWeightsTest, HeadOfItsOwnIsTaken) {
    TinyGguf file;
    file.add("output.weight", TinyGguf::kVocabulary, TinyGguf::kWidth);
    file.write(path_);
    ASSERT_TRUE(open().output);
    EXPECT_EQ(open().output->rows, 40U);
}

TEST_F(GgufWeightsTest, OtherFamiliesAreRefused) {
    expect_refusal("general.architecture is \"qwen2\"",
                   [](TinyGguf& file) { file.set_text("general.architecture", "qwen2"); });
    expect_refusal("general.architecture is not a text",
                   [](TinyGguf& file) { file.set_integer("general.architecture", 3); });
}

TEST_F(GgufWeightsTest, FeaturesThatCannotBeComputedAreRefused) {
    expect_refusal("llama.rope.scaling.type is \"yarn\"",
                   [](TinyGguf& file) { file.set_text("llama.rope.scaling.type", "yarn"); });
    expect_refusal("llama.rope.scale_linear is 4",
                   [](TinyGguf& file) { file.set_number("llama.rope.scale_linear", 4.0F); });
    expect_refusal("llama.expert_count is 8",
                   [](TinyGguf& file) { file.set_integer("llama.expert_count", 8); });
    expect_refusal("llama.rope.dimension_count is 8",
                   [](TinyGguf& file) { file.set_integer("llama.rope.dimension_count", 8); });
    expect_refusal("blk.0.attn_q.bias belongs to a feature",
                   [](TinyGguf& file) { file.add("blk.0.attn_q.bias", 1, 64); });
    expect_refusal("rope_freqs.weight belongs to a feature",
                   [](TinyGguf& file) { file.add("rope_freqs.weight", 1, 8); });
}

TEST_F(GgufWeightsTest, MissingAndWrongKeysAreNamed) {
    expect_refusal("llama.embedding_length is missing",
                   [](TinyGguf& file) { file.remove("llama.embedding_length"); });
    expect_refusal("llama.block_count is 0",
                   [](TinyGguf& file) { file.set_integer("llama.block_count", 0); });
    expect_refusal("llama.block_count is not one integer",
                   [](TinyGguf& file) { file.set_text("llama.block_count", "many"); });
    expect_refusal("4 heads of 16 numbers cannot share 3",
                   [](TinyGguf& file) { file.set_integer("llama.attention.head_count_kv", 3); });
}

TEST_F(GgufWeightsTest, MissingTensorsAndWrongShapesAreNamed) {
    const TinyGguf file;
    file.write_without("blk.1.ffn_up.weight", path_);
    expect_refusal("tensor blk.1.ffn_up.weight is missing");
    file.write_without("token_embd.weight", path_);
    expect_refusal("tensor token_embd.weight is missing");
    expect_refusal("tensor blk.0.ffn_gate.weight is [96, 64], not [128, 64]",
                   [](TinyGguf& other) { other.set_integer("llama.feed_forward_length", 128); });
    expect_refusal("tensor output.weight is [41, 64], not [40, 64]",
                   [](TinyGguf& other) { other.add("output.weight", 41, 64); });
}

TEST_F(GgufWeightsTest, DamagedFilesAreRefused) {
    const TinyGguf file;
    file.write(path_);
    const auto size = std::filesystem::file_size(path_);
    std::filesystem::resize_file(path_, size - 100);
    expect_refusal("cut short");
    std::filesystem::resize_file(path_, 500);
    expect_refusal("not a usable GGUF model");
    std::ofstream(path_) << "This is no model.";
    expect_refusal("not a usable GGUF model");
    std::ofstream(path_).close();
    expect_refusal("not a usable GGUF model");
    expect_refusal(
        "tensor blk.0.attn_v.weight has numbers that are not finite", [](TinyGguf& other) {
            other.values("blk.0.attn_v.weight")[7] = std::numeric_limits<float>::quiet_NaN();
        });
}

TEST_F(GgufWeightsTest, AbsentFileIsToldWithThePlaceInTheJob) {
    EXPECT_THAT([this] { (void)open(); },
                ThrowsMessage<BackendError>(AllOf(HasSubstr(path_), HasSubstr("/model/model"))));
}

}  // namespace
}  // namespace dln
