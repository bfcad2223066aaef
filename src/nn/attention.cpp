#include "dln/nn/attention.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "dln/error.hpp"

#include "nn/blas.hpp"
#include "nn/exponential.hpp"

namespace dln::nn {
namespace {

// A sequence and head: where its rows and columns begin.
struct Place {
    std::size_t sequence = 0;
    std::size_t first_row = 0;
    std::size_t length = 0;
    std::size_t q_column = 0;
    std::size_t kv_column = 0;
};

class Attention {
  public:
    Attention(const Tape& tape,
              Variable q,
              Variable k,
              Variable v,
              AttentionShape shape,
              const std::optional<AttentionPrefix>& prefix)
        : q_(q), k_(k), v_(v), shape_(std::move(shape)), prefix_(prefix) {
        DLN_ASSERT(shape_.kv_heads > 0 && shape_.heads % shape_.kv_heads == 0, "{} heads share {}",
                   shape_.heads, shape_.kv_heads);
        if (prefix_) {
            prefix_rows_ = tape.value(prefix_->k).rows;
            groups_ = tape.value(prefix_->log_weight).columns;
            DLN_ASSERT(groups_ > 0 && prefix_rows_ % groups_ == 0, "{} rows in {} groups",
                       prefix_rows_, groups_);
            DLN_ASSERT(tape.value(prefix_->log_weight).rows == shape_.lengths.size(),
                       "weights for {} of {} sequences", tape.value(prefix_->log_weight).rows,
                       shape_.lengths.size());
        }
        std::size_t first = 0;
        for (std::size_t s = 0; s < shape_.lengths.size(); ++s) {
            for (std::size_t h = 0; h < shape_.heads; ++h) {
                const std::size_t kv_head = h * shape_.kv_heads / shape_.heads;
                places_.push_back({.sequence = s,
                                   .first_row = first,
                                   .length = shape_.lengths[s],
                                   .q_column = h * shape_.head_size,
                                   .kv_column = kv_head * shape_.head_size});
            }
            first += shape_.lengths[s];
        }
        DLN_ASSERT(first == tape.value(q).rows && first == tape.value(k).rows,
                   "sequences of {} rows, {} queries and {} keys", first, tape.value(q).rows,
                   tape.value(k).rows);
    }

    [[nodiscard]] Matrix forward(const Tape& tape) {
        Matrix out(tape.value(q_).rows, tape.value(q_).columns);
        for (const Place& place : places_) {
            Matrix weights = scores(tape, place);
            for (std::size_t t = 0; t < place.length; ++t) normalise(weights.row(t), t);
            add_product(weights, Transposed::no, tape.value(v_), prefix_v(tape), place,
                        block(out, place.first_row, place.q_column));
            weights_.push_back(std::move(weights));
        }
        return out;
    }

    void backward(Tape& tape, const Matrix& gradient) {
        for (std::size_t i = 0; i < places_.size(); ++i) {
            const Place& place = places_[i];
            const Matrix& weights = weights_[i];
            // d loss / d weights = gradient v^T
            Matrix by_score(place.length, prefix_rows_ + place.length);
            products(gradient, place.q_column, tape.value(v_), prefix_v(tape), place, by_score,
                     1.0F);
            const ConstBlock from = block(gradient, place.first_row, place.q_column);
            add_columns(weights, from, 1.0F, place, tape.add_to(v_),
                        prefix_ ? tape.add_to(prefix_->v) : nullptr);
            through_softmax(weights, by_score);
            add_log_weight(tape, place, by_score);
            if (Matrix* to = tape.add_to(q_)) {
                add_product(by_score, Transposed::no, tape.value(k_), prefix_k(tape), place,
                            block(*to, place.first_row, place.q_column), scale());
            }
            add_columns(by_score, block(tape.value(q_), place.first_row, place.q_column), scale(),
                        place, tape.add_to(k_), prefix_ ? tape.add_to(prefix_->k) : nullptr);
        }
        weights_.clear();
    }

  private:
    [[nodiscard]] float scale() const {
        return 1.0F / std::sqrt(static_cast<float>(shape_.head_size));
    }
    static ConstBlock block(const Matrix& of, std::size_t row, std::size_t column) {
        return {of.values.data() + row * of.columns + column, of.columns};
    }
    static Block block(Matrix& of, std::size_t row, std::size_t column) {
        return {of.values.data() + row * of.columns + column, of.columns};
    }
    [[nodiscard]] const Matrix* prefix_k(const Tape& tape) const {
        return prefix_ ? &tape.value(prefix_->k) : nullptr;
    }
    [[nodiscard]] const Matrix* prefix_v(const Tape& tape) const {
        return prefix_ ? &tape.value(prefix_->v) : nullptr;
    }

    // result = factor left right^T, for the rows of a sequence, over prefix and own rows.
    void products(const Matrix& left,
                  std::size_t left_column,
                  const Matrix& right,
                  const Matrix* prefix,
                  const Place& place,
                  Matrix& result,
                  float factor) const {
        const ConstBlock rows = block(left, place.first_row, left_column);
        if (prefix != nullptr) {
            multiply(place.length, prefix_rows_, shape_.head_size, rows, Transposed::no,
                     block(*prefix, 0, place.kv_column), Transposed::yes, block(result, 0, 0),
                     factor);
        }
        multiply(place.length, place.length, shape_.head_size, rows, Transposed::no,
                 block(right, place.first_row, place.kv_column), Transposed::yes,
                 block(result, 0, prefix_rows_), factor);
    }

    // q k / sqrt(head_size) + log weight; what lies ahead is not masked yet.
    [[nodiscard]] Matrix scores(const Tape& tape, const Place& place) const {
        Matrix result(place.length, prefix_rows_ + place.length);
        products(tape.value(q_), place.q_column, tape.value(k_), prefix_k(tape), place, result,
                 scale());
        if (!prefix_) return result;
        const std::span<const float> bias = tape.value(prefix_->log_weight).row(place.sequence);
        const std::size_t each = prefix_rows_ / groups_;
        for (std::size_t t = 0; t < place.length; ++t) {
            for (std::size_t group = 0; group < groups_; ++group) {
                for (float& value : result.row(t).subspan(group * each, each)) value += bias[group];
            }
        }
        return result;
    }

    // Softmax over the prefix and the rows up to t; 0 for those ahead.
    void normalise(std::span<float> row, std::size_t t) const {
        const std::span<float> seen = row.first(prefix_rows_ + t + 1);
        const float largest = *std::ranges::max_element(seen);
        for (float& value : seen) value = exponential(value - largest);
        float sum = 0.0F;
        for (const float value : seen) sum += value;
        for (float& value : seen) value /= sum;
        std::ranges::fill(row.subspan(seen.size()), 0.0F);
    }

    // to += factor weights [prefix; own rows]
    void add_product(const Matrix& weights,
                     Transposed transposed,
                     const Matrix& own,
                     const Matrix* prefix,
                     const Place& place,
                     Block to,
                     float factor = 1.0F) const {
        if (prefix != nullptr) {
            multiply(place.length, shape_.head_size, prefix_rows_, block(weights, 0, 0), transposed,
                     block(*prefix, 0, place.kv_column), Transposed::no, to, factor, 1.0F);
        }
        multiply(place.length, shape_.head_size, place.length, block(weights, 0, prefix_rows_),
                 transposed, block(own, place.first_row, place.kv_column), Transposed::no, to,
                 factor, 1.0F);
    }

    // own and prefix += factor weights^T rows
    void add_columns(const Matrix& weights,
                     ConstBlock rows,
                     float factor,
                     const Place& place,
                     Matrix* own,
                     Matrix* prefix) const {
        if (prefix != nullptr) {
            multiply(prefix_rows_, shape_.head_size, place.length, block(weights, 0, 0),
                     Transposed::yes, rows, Transposed::no, block(*prefix, 0, place.kv_column),
                     factor, 1.0F);
        }
        if (own != nullptr) {
            multiply(place.length, shape_.head_size, place.length, block(weights, 0, prefix_rows_),
                     Transposed::yes, rows, Transposed::no,
                     block(*own, place.first_row, place.kv_column), factor, 1.0F);
        }
    }

    // From d loss / d weights to d loss / d scores; where a weight is 0, so is the result.
    static void through_softmax(const Matrix& weights, Matrix& gradient) {
        for (std::size_t t = 0; t < weights.rows; ++t) {
            const std::span<const float> w = weights.row(t);
            const std::span<float> g = gradient.row(t);
            float mean = 0.0F;
            for (std::size_t j = 0; j < w.size(); ++j) mean += w[j] * g[j];
            for (std::size_t j = 0; j < w.size(); ++j) g[j] = w[j] * (g[j] - mean);
        }
    }

    void add_log_weight(Tape& tape, const Place& place, const Matrix& by_score) const {
        if (!prefix_) return;
        Matrix* to = tape.add_to(prefix_->log_weight);
        if (to == nullptr) return;
        const std::size_t each = prefix_rows_ / groups_;
        for (std::size_t t = 0; t < place.length; ++t) {
            for (std::size_t group = 0; group < groups_; ++group) {
                float& sum = to->row(place.sequence)[group];
                for (const float value : by_score.row(t).subspan(group * each, each)) sum += value;
            }
        }
    }

    Variable q_;
    Variable k_;
    Variable v_;
    AttentionShape shape_;
    std::optional<AttentionPrefix> prefix_;
    std::size_t prefix_rows_ = 0;
    std::size_t groups_ = 0;
    std::vector<Place> places_;
    std::vector<Matrix> weights_;  // by place, [length, prefix + length]
};

}  // namespace

Variable causal_attention(Tape& tape,
                          Variable q,
                          Variable k,
                          Variable v,
                          const AttentionShape& shape,
                          const std::optional<AttentionPrefix>& prefix) {
    const auto attention = std::make_shared<Attention>(tape, q, k, v, shape, prefix);
    Matrix out = attention->forward(tape);
    const auto backward = [attention](Tape& on, const Matrix& gradient) {
        attention->backward(on, gradient);
    };
    if (!prefix) return tape.record(std::move(out), {q, k, v}, backward);
    return tape.record(std::move(out), {q, k, v, prefix->k, prefix->v, prefix->log_weight},
                       backward);
}

}  // namespace dln::nn
