// The forward pass of the real model, against llama.cpp's on the same numbers.

#include "dln/mop/base_model.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

#include "dln/llm/tokenizer.hpp"

#include "support/embedded_model.hpp"

namespace dln::mop {
namespace {

/// All texts at once; a row for each token.
nn::Matrix our_logits(const LlamaWeights& weights,
                      const std::vector<std::vector<std::int32_t>>& texts) {
    std::vector<std::int32_t> tokens;
    std::vector<std::size_t> lengths;
    for (const auto& text : texts) {
        tokens.insert(tokens.end(), text.begin(), text.end());
        lengths.push_back(text.size());
    }
    std::vector<std::size_t> rows(tokens.size());
    for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = r;
    nn::Tape tape;
    const nn::Variable in = tape.constant(embed(weights, tokens));
    const nn::Variable hidden = run_blocks(tape, weights, in, lengths, 0, weights.blocks.size());
    return tape.value(logits(tape, weights, hidden, rows));
}

std::ptrdiff_t argmax(std::span<const float> row) {
    return std::ranges::max_element(row) - row.begin();
}

TEST(BaseModel, LogitsAreThoseOfLlamaCpp) {
    const auto tokenizer = open_tokenizer(testing::model_path());
    const std::vector<std::vector<std::int32_t>> texts{
        tokenizer->encode({.text = "What is the capital of France?", .chat = true},
                          "The capital of France is Paris."),
        tokenizer->encode({.text = "zebra, apple, monkey -> apple, monkey, zebra"}),
        tokenizer->encode({.text = "def sum(a, b):\n    return a + b\n\nprint(sum(2, 40))"})};
    const LlamaWeights weights = llama_weights(open_gguf_weights(testing::kModel, "/model"));
    const nn::Matrix ours = our_logits(weights, texts);
    const auto backend = make_embedded_backend({.model = testing::kModel, .context_tokens = 256});
    std::size_t row = 0;
    float largest = 0.0F;
    for (const auto& text : texts) {
        for (const std::vector<float>& theirs : logits_of_all(*backend, text)) {
            const std::span<const float> its = ours.row(row);
            ASSERT_EQ(its.size(), theirs.size());
            EXPECT_EQ(argmax(its), argmax(theirs)) << row;
            for (std::size_t i = 0; i < its.size(); ++i) {
                largest = std::max(largest, std::abs(its[i] - theirs[i]));
            }
            ++row;
        }
    }
    EXPECT_EQ(row, ours.rows);
    EXPECT_LT(largest, 0.03F);
    RecordProperty("largest_difference", std::to_string(largest));
}

}  // namespace
}  // namespace dln::mop
