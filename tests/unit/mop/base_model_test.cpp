// The forward pass of the real model, whole and token by token, against llama.cpp's on the same numbers.

#include "dln/mop/base_model.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

#include "dln/llm/tokenizer.hpp"
#include "dln/mop/mixture_decoder.hpp"

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

class BaseModel : public ::testing::Test {
  protected:
    const std::unique_ptr<Tokenizer> tokenizer_ = open_tokenizer(testing::model_path());
    const LlamaWeights weights_ = llama_weights(open_gguf_weights(testing::kModel, "/model"));
    const std::unique_ptr<Backend> backend_ =
        make_embedded_backend({.model = testing::kModel, .context_tokens = 256});
};

TEST_F(BaseModel, LogitsAreThoseOfLlamaCpp) {
    const std::vector<std::vector<std::int32_t>> texts{
        tokenizer_->encode({.text = "What is the capital of France?", .chat = true},
                           "The capital of France is Paris."),
        tokenizer_->encode({.text = "zebra, apple, monkey -> apple, monkey, zebra"}),
        tokenizer_->encode({.text = "def sum(a, b):\n    return a + b\n\nprint(sum(2, 40))"})};
    const nn::Matrix ours = our_logits(weights_, texts);
    std::size_t row = 0;
    float largest = 0.0F;
    for (const auto& text : texts) {
        for (const std::vector<float>& theirs : logits_of_all(*backend_, text)) {
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

TEST_F(BaseModel, WithoutPromptsItsTextsAndScoresAreThoseOfTheBackend) {
    // Prompts behind the last block change nothing.
    MixtureDecoder decoder(weights_, nn::Matrix(1, weights_.shape.width), 1, weights_.blocks.size(),
                           [](std::span<const float>) { return std::vector<float>(1); });
    const Context context{.text = "Write one sentence about the sea.", .chat = true};
    const std::vector<std::int32_t> tokens = tokenizer_->encode(context);
    const GeneratedText text =
        generate(decoder, *tokenizer_, tokens, {.max_tokens = 12}, CounterRng({}));
    const Completion theirs =
        run_request(*backend_, GenerateRequest{.items = {{context}}, .max_tokens = 12});
    EXPECT_EQ(text.text, std::get<GenerateReply>(theirs.reply).texts.at(0).text);
    EXPECT_EQ(text.tokens, 12);
    const std::string target = "The sea is deep.";
    std::vector<std::int32_t> behind = tokenizer_->encode(context, target);
    behind.erase(behind.begin(), behind.begin() + std::ssize(tokens));
    const TargetScore ours = score(decoder, tokens, {behind}).at(0);
    const Completion scored = run_request(*backend_, ScoreRequest{{{context, {target}}}});
    const TargetScore& expected = std::get<ScoreReply>(scored.reply).scores.at(0).at(0);
    ASSERT_EQ(ours.token_log_probs.size(), expected.token_log_probs.size());
    for (std::size_t i = 0; i < behind.size(); ++i) {
        EXPECT_NEAR(ours.token_log_probs[i], expected.token_log_probs[i], 0.002) << i;
    }
}

}  // namespace
}  // namespace dln::mop
