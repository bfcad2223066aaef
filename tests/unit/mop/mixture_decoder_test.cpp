#include "dln/mop/mixture_decoder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "dln/llm/logits.hpp"
#include "dln/mop/hidden_states.hpp"

#include "unit/mop/small_model.hpp"

namespace dln::mop {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Tokens = std::vector<std::int32_t>;

/// Token 10 ends a text, the others are the letters a to j.
class LetterTokenizer : public Tokenizer {
  public:
    std::vector<std::int32_t> encode(const Context& /*context*/,
                                     std::string_view /*target*/) const override {
        return {};
    }
    std::string piece(std::int32_t token) const override {
        return {static_cast<char>('a' + token)};
    }
    bool ends_generation(std::int32_t token) const override { return token == 10; }
    std::optional<std::int32_t> end_token() const override { return 10; }
    bool has_chat_template() const noexcept override { return false; }
    std::size_t vocabulary() const noexcept override { return 11; }
};

/// Injection at block 0 and at block 1, of two.
class MixtureDecoderTest : public ::testing::TestWithParam<std::size_t> {
  protected:
    /// Depends on the text, as a real one does.
    static std::vector<float> log_gate(std::span<const float> gate_input) {
        const float a = 1.0F / (1.0F + std::exp(-gate_input[0]));
        return {std::log(a), std::log(1.0F - a)};
    }
    [[nodiscard]] MixtureDecoder decoder() const {
        return {weights_, prompts_, 2, GetParam(), log_gate};
    }
    /// Logits of the whole text at once; the gate sees its first `gate_tokens`.
    [[nodiscard]] nn::Matrix full(const Tokens& tokens, std::size_t gate_tokens) const {
        nn::Tape tape;
        const HiddenState below =
            hidden_state(weights_, GetParam(), {.tokens = tokens, .gate_tokens = gate_tokens});
        nn::Matrix gate(1, 2);
        gate.values = log_gate(below.gate_input);
        const Mixture mixture{.prompts = tape.constant(prompts_), .log_gate = tape.constant(gate)};
        const nn::Variable hidden = run_blocks(tape, weights_, tape.constant(below.rows),
                                               {tokens.size()}, GetParam(), 2, mixture);
        std::vector<std::size_t> rows(tokens.size());
        for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = r;
        return tape.value(logits(tape, weights_, hidden, rows));
    }
    static void expect_near(std::span<const float> found, std::span<const float> expected) {
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-4);
    }

    const LlamaWeights weights_ = small_model();
    const nn::Matrix prompts_ = nn::testing::random_matrix(6, 8, 90);  // two experts of three
    const Tokens context_{4, 9, 2, 2, 7};
};

TEST_P(MixtureDecoderTest, GivesTheLogitsOfTheFullForwardPass) {
    MixtureDecoder model = decoder();
    model.begin(context_);
    const nn::Matrix first = model.append(Tokens{3, 8});
    const nn::Matrix second = model.append(Tokens{1});
    const nn::Matrix expected = full({4, 9, 2, 2, 7, 3, 8, 1}, 5);
    expect_near(model.context_logits(), expected.row(4));
    expect_near(first.row(0), expected.row(5));
    expect_near(first.row(1), expected.row(6));
    expect_near(second.row(0), expected.row(7));
    EXPECT_EQ(model.size(), 8U);
}

TEST_P(MixtureDecoderTest, RewoundItGoesOnAsIfNothingHadBeenBehind) {
    MixtureDecoder model = decoder();
    model.begin(context_);
    (void)model.append(Tokens{0, 1, 2});
    model.rewind(5);
    const nn::Matrix after = model.append(Tokens{6});
    MixtureDecoder fresh = decoder();
    fresh.begin(context_);
    EXPECT_EQ(after, fresh.append(Tokens{6}));
}

TEST_P(MixtureDecoderTest, TextsBeforeDoNotMatter) {
    MixtureDecoder used = decoder();
    used.begin({1, 1, 1, 1, 1, 1, 1, 1});
    (void)used.append(Tokens{5});
    MixtureDecoder fresh = decoder();
    const auto other = score(used, context_, {{1, 2}, {3}});
    const auto alone = score(fresh, context_, {{1, 2}, {3}});
    EXPECT_EQ(other[0].token_log_probs, alone[0].token_log_probs);
    EXPECT_EQ(other[1].token_log_probs, alone[1].token_log_probs);
}

TEST_P(MixtureDecoderTest, GreedyTextsAreThoseOfTheFullForwardPass) {
    const LetterTokenizer tokenizer;
    MixtureDecoder model = decoder();
    for (std::int32_t begin = 0; begin < 10; ++begin) {
        Tokens tokens{begin, 3, 5};
        std::string expected;
        for (int i = 0; i < 8; ++i) {
            const std::int32_t next = argmax_token(full(tokens, 3).row(tokens.size() - 1));
            if (tokenizer.ends_generation(next)) break;
            tokens.push_back(next);
            expected += tokenizer.piece(next);
        }
        const GeneratedText text =
            generate(model, tokenizer, {begin, 3, 5}, {.max_tokens = 8}, CounterRng({}));
        EXPECT_EQ(text.text, expected);
        EXPECT_EQ(text.cut, expected.size() == 8) << expected;
    }
}

TEST_P(MixtureDecoderTest, SampledTextsDependOnTheirStreamAlone) {
    const LetterTokenizer tokenizer;
    MixtureDecoder model = decoder();
    const DrawOptions hot{.max_tokens = 12, .temperature = 2.0};
    const auto draw = [&](std::uint64_t seed) {
        return generate(model, tokenizer, context_, hot, CounterRng({.seed = seed})).text;
    };
    const std::string first = draw(1);
    EXPECT_NE(first, draw(2));
    EXPECT_EQ(first, draw(1));
}

TEST_P(MixtureDecoderTest, TargetsAreScoredAsInTheFullForwardPass) {
    MixtureDecoder model = decoder();
    const auto scores = score(model, context_, {{3, 8, 1}, {0}, {}});
    const nn::Matrix expected = full({4, 9, 2, 2, 7, 3, 8, 1}, 5);
    ASSERT_EQ(scores[0].token_log_probs.size(), 3U);
    std::size_t row = 4;
    for (const std::size_t token : {3U, 8U, 1U}) {
        const std::span<const float> logits = expected.row(row);
        EXPECT_NEAR(scores[0].token_log_probs[row - 4],
                    static_cast<double>(logits[token]) - log_sum_exp(logits), 2e-4);
        ++row;
    }
    EXPECT_NEAR(scores[1].token_log_probs.at(0),
                static_cast<double>(expected.row(4)[0]) - log_sum_exp(expected.row(4)), 2e-4);
    EXPECT_THAT(scores[2].error, HasSubstr("no tokens"));
}

TEST_P(MixtureDecoderTest, LogitsThatAreNotFiniteAreAnErrorOfTheText) {
    const LetterTokenizer tokenizer;
    MixtureDecoder model(weights_, prompts_, 2, GetParam(), [](std::span<const float>) {
        return std::vector<float>(2, std::numeric_limits<float>::quiet_NaN());
    });
    EXPECT_THAT(generate(model, tokenizer, context_, {}, CounterRng({})).error,
                HasSubstr("not finite"));
    const auto scores = score(model, context_, {{1}});
    EXPECT_THAT(scores[0].error, HasSubstr("not finite"));
    EXPECT_THAT(scores[0].token_log_probs, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Blocks, MixtureDecoderTest, ::testing::Values(0, 1));

}  // namespace
}  // namespace dln::mop
