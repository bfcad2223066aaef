// Loss and gradients of a tiny model with a mixture of prompts and its gate, against those of an autograd library over
// a forward pass of its own (tools/golden-gradients).

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dln/mop/llama.hpp"
#include "dln/nn/operations.hpp"

namespace dln::mop {
namespace {

using nlohmann::json;
using nn::Matrix;
using nn::Tape;
using nn::Variable;

Matrix matrix_of(const json& rows) {
    Matrix matrix(rows.size(), rows.at(0).size());
    for (std::size_t r = 0; r < matrix.rows; ++r) {
        for (std::size_t c = 0; c < matrix.columns; ++c) matrix.row(r)[c] = rows[r][c];
    }
    return matrix;
}

class GoldenGradients : public ::testing::Test {
  protected:
    GoldenGradients() {
        std::ifstream(DLN_GOLDEN_GRADIENTS) >> golden_;
        const json& shape = golden_.at("shape");
        weights_.shape = {.width = shape.at("width"),
                          .heads = shape.at("heads"),
                          .kv_heads = shape.at("kv_heads"),
                          .head_size = shape.at("head_size"),
                          .rope_base = shape.at("rope_base"),
                          .norm_epsilon = shape.at("norm_epsilon")};
        const json& frozen = golden_.at("frozen");
        weights_.embedding = held(frozen.at("embedding"));
        weights_.output_norm = held(frozen.at("output_norm"));
        for (const json& block : frozen.at("blocks")) {
            weights_.blocks.push_back({.attention_norm = held(block.at("attention_norm")),
                                       .q = held(block.at("q")),
                                       .k = held(block.at("k")),
                                       .v = held(block.at("v")),
                                       .output = held(block.at("output")),
                                       .ffn_norm = held(block.at("ffn_norm")),
                                       .gate = held(block.at("gate")),
                                       .up = held(block.at("up")),
                                       .down = held(block.at("down"))});
        }
        for (const json& text : golden_.at("texts")) {
            const std::size_t answer = text.at("answer");
            const std::size_t given = text.at("tokens").size() - answer;
            for (std::size_t t = 0; t < answer; ++t) {
                loss_rows_.push_back(tokens_.size() + given + t - 1);
                targets_.push_back(text.at("tokens")[given + t]);
            }
            given_.push_back(given);
            lengths_.push_back(given + answer);
            for (const json& token : text.at("tokens")) tokens_.push_back(token);
        }
    }

    /// The mean over the rows of each text that are no answer, scaled to a mean square of 1.
    [[nodiscard]] Matrix gate_input(const Matrix& hidden) const {
        Matrix z(lengths_.size(), hidden.columns);
        std::size_t first = 0;
        for (std::size_t i = 0; i < lengths_.size(); ++i) {
            double square = 0.0;
            for (std::size_t c = 0; c < hidden.columns; ++c) {
                for (std::size_t t = 0; t < given_[i]; ++t) z.row(i)[c] += hidden.row(first + t)[c];
                square += std::pow(z.row(i)[c], 2.0) / static_cast<double>(hidden.columns);
            }
            for (float& value : z.row(i)) value /= static_cast<float>(std::sqrt(square));
            first += lengths_[i];
        }
        return z;
    }

    void expect_golden(const json& wanted) {
        Tape tape;
        std::map<std::string, Variable> trained;
        for (const auto& [name, rows] : golden_.at("trained").items()) {
            trained[name] = tape.parameter(matrix_of(rows));
        }
        const std::size_t injection = wanted.at("injection");
        const Variable below = run_blocks(tape, weights_, tape.constant(embed(weights_, tokens_)),
                                          lengths_, 0, injection);
        const Variable z = tape.constant(gate_input(tape.value(below)));
        const Variable inner = silu(tape, linear(tape, z, trained["w1"], trained["b1"]));
        const Variable gate = softmax(tape, linear(tape, inner, trained["w2"], trained["b2"]));
        const Mixture mixture{.prompts = trained["prompts"],
                              .log_gate = log_at_least(tape, gate, std::exp(-20.0F))};
        const Variable hidden =
            run_blocks(tape, weights_, below, lengths_, injection, weights_.blocks.size(), mixture);
        const Variable loss =
            cross_entropy(tape, logits(tape, weights_, hidden, loss_rows_), targets_);
        tape.backward(loss);
        const double its = wanted.at("loss");
        EXPECT_NEAR(tape.value(loss).values[0], its, 1e-5 * its);
        for (const auto& [name, variable] : trained) {
            expect_near(tape.gradient(variable), matrix_of(wanted.at("gradients").at(name)), name);
        }
    }

    /// Relative to the largest entry: small ones are differences of large ones.
    static void expect_near(const Matrix& found, const Matrix& golden, const std::string& name) {
        ASSERT_EQ(found.rows, golden.rows) << name;
        ASSERT_EQ(found.columns, golden.columns) << name;
        float largest = 0.0F;
        for (const float value : golden.values) largest = std::max(largest, std::abs(value));
        for (std::size_t i = 0; i < found.values.size(); ++i) {
            EXPECT_NEAR(found.values[i], golden.values[i], 1e-5F * largest) << name << " " << i;
        }
    }

    json golden_;
    LlamaWeights weights_;

  private:
    nn::MatrixView held(const json& rows) {
        const auto matrix = std::make_shared<const Matrix>(matrix_of(rows));
        matrices_.push_back(matrix);
        return *matrix;
    }

    std::vector<std::shared_ptr<const Matrix>> matrices_;  // that weights_ views
    std::vector<std::int32_t> tokens_;
    std::vector<std::size_t> lengths_;
    std::vector<std::size_t> given_;  // tokens before the answer
    std::vector<std::size_t> loss_rows_;
    std::vector<std::int32_t> targets_;
};

TEST_F(GoldenGradients, AreThoseOfTheTapeWithPromptsBeforeTheFirstBlock) {
    expect_golden(golden_.at("cases").at(0));
}

TEST_F(GoldenGradients, AreThoseOfTheTapeWithPromptsBeforeALaterBlock) {
    expect_golden(golden_.at("cases").at(1));
}

}  // namespace
}  // namespace dln::mop
