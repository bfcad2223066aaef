#include "dln/nn/attention.hpp"

#include <cmath>

#include <gmock/gmock.h>

#include "dln/nn/operations.hpp"

#include "finite_differences.hpp"

namespace dln::nn {
namespace {

using testing::expect_gradients;
using testing::random_matrix;

/// The same by its definition, one number after the other, in double.
Matrix by_definition(const Matrix& q,
                     const Matrix& k,
                     const Matrix& v,
                     const AttentionShape& shape,
                     const Matrix& pk,
                     const Matrix& pv,
                     const Matrix& log_weight) {
    Matrix out(q.rows, q.columns);
    std::size_t first = 0;
    for (std::size_t s = 0; s < shape.lengths.size(); ++s) {
        for (std::size_t t = 0; t < shape.lengths[s]; ++t) {
            for (std::size_t h = 0; h < shape.heads; ++h) {
                const std::size_t kv = h * shape.kv_heads / shape.heads * shape.head_size;
                const std::size_t at = h * shape.head_size;
                std::vector<double> weights;
                std::vector<std::span<const float>> rows;
                const auto take = [&](std::span<const float> key, std::span<const float> value,
                                      double bias) {
                    double score = 0.0;
                    for (std::size_t c = 0; c < shape.head_size; ++c) {
                        score += static_cast<double>(q.row(first + t)[at + c]) * key[kv + c];
                    }
                    weights.push_back(
                        std::exp(score / std::sqrt(static_cast<double>(shape.head_size)) + bias));
                    rows.push_back(value);
                };
                for (std::size_t j = 0; j < pk.rows; ++j) {
                    const std::size_t group = j / (pk.rows / log_weight.columns);
                    take(pk.row(j), pv.row(j), log_weight.row(s)[group]);
                }
                for (std::size_t j = 0; j <= t; ++j) take(k.row(first + j), v.row(first + j), 0.0);
                double sum = 0.0;
                for (const double weight : weights) sum += weight;
                for (std::size_t c = 0; c < shape.head_size; ++c) {
                    double value = 0.0;
                    for (std::size_t j = 0; j < rows.size(); ++j) {
                        value += weights[j] / sum * rows[j][kv + c];
                    }
                    out.row(first + t)[at + c] = static_cast<float>(value);
                }
            }
        }
        first += shape.lengths[s];
    }
    return out;
}

class AttentionTest : public ::testing::Test {
  protected:
    // Two sequences, four heads that share two, three groups of two rows before them.
    const AttentionShape shape_{.lengths = {3, 2}, .heads = 4, .kv_heads = 2, .head_size = 2};
    const Matrix q_ = random_matrix(5, 8, 1);
    const Matrix k_ = random_matrix(5, 4, 2);
    const Matrix v_ = random_matrix(5, 4, 3);
    const Matrix pk_ = random_matrix(6, 4, 4);
    const Matrix pv_ = random_matrix(6, 4, 5);
    const Matrix log_weight_ = random_matrix(2, 3, 6);

    static void expect_near(const Matrix& found, const Matrix& expected) {
        ASSERT_EQ(found.values.size(), expected.values.size());
        for (std::size_t i = 0; i < found.values.size(); ++i) {
            EXPECT_NEAR(found.values[i], expected.values[i], 1e-5) << i;
        }
    }
    [[nodiscard]] Matrix mixed(const Matrix& log_weight) const {
        Tape tape;
        const AttentionPrefix prefix{.k = tape.constant(pk_),
                                     .v = tape.constant(pv_),
                                     .log_weight = tape.constant(log_weight)};
        return tape.value(causal_attention(tape, tape.constant(q_), tape.constant(k_),
                                           tape.constant(v_), shape_, prefix));
    }
};

TEST_F(AttentionTest, IsWhatItsDefinitionSays) {
    Tape tape;
    const Variable plain =
        causal_attention(tape, tape.constant(q_), tape.constant(k_), tape.constant(v_), shape_);
    expect_near(tape.value(plain),
                by_definition(q_, k_, v_, shape_, Matrix(0, 4), Matrix(0, 4), Matrix(2, 1)));
    expect_near(mixed(log_weight_), by_definition(q_, k_, v_, shape_, pk_, pv_, log_weight_));
}

TEST_F(AttentionTest, GroupWithoutWeightIsNotThere) {
    Matrix only_second(2, 3);
    for (std::size_t s = 0; s < 2; ++s) only_second.row(s)[0] = only_second.row(s)[2] = -80.0F;
    Matrix k2(2, 4);
    Matrix v2(2, 4);
    for (std::size_t r = 0; r < 2; ++r) {
        std::ranges::copy(pk_.row(2 + r), k2.row(r).begin());
        std::ranges::copy(pv_.row(2 + r), v2.row(r).begin());
    }
    expect_near(mixed(only_second), by_definition(q_, k_, v_, shape_, k2, v2, Matrix(2, 1)));
}

TEST_F(AttentionTest, GradientsAreThoseOfFiniteDifferences) {
    expect_gradients(
        [this](Tape& tape, const auto& in) {
            return causal_attention(tape, in[0], in[1], in[2], shape_);
        },
        {q_, k_, v_});
    expect_gradients(
        [this](Tape& tape, const auto& in) {
            return causal_attention(tape, in[0], in[1], in[2], shape_,
                                    AttentionPrefix{.k = in[3], .v = in[4], .log_weight = in[5]});
        },
        {q_, k_, v_, pk_, pv_, log_weight_});
}

TEST_F(AttentionTest, PrefixLearnsWhereTheTextIsConstant) {
    Tape tape;
    const AttentionPrefix prefix{.k = tape.parameter(pk_),
                                 .v = tape.parameter(pv_),
                                 .log_weight = tape.constant(log_weight_)};
    const Variable text_k = tape.constant(k_);
    const Variable out =
        causal_attention(tape, tape.constant(q_), text_k, tape.constant(v_), shape_, prefix);
    tape.backward(testing::weighted_sum(tape, out));
    EXPECT_NE(tape.gradient(prefix.k), Matrix(6, 4));
    EXPECT_FALSE(tape.wants_gradient(text_k));
}

}  // namespace
}  // namespace dln::nn
