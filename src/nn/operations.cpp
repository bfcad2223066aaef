#include "dln/nn/operations.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"

#include "nn/blas.hpp"
#include "nn/exponential.hpp"

namespace dln::nn {
namespace {

Block all_of(Matrix& matrix) { return {matrix.values.data(), matrix.columns}; }
ConstBlock all_of(MatrixView matrix) { return {matrix.values.data(), matrix.columns}; }

void check_same_shape(const Matrix& a, const Matrix& b) {
    DLN_ASSERT(a.rows == b.rows && a.columns == b.columns, "{} x {} beside {} x {}", a.rows,
               a.columns, b.rows, b.columns);
}

Matrix times_transposed(MatrixView x, MatrixView weight) {
    DLN_ASSERT(x.columns == weight.columns, "{} x {} times the transpose of {} x {}", x.rows,
               x.columns, weight.rows, weight.columns);
    Matrix y(x.rows, weight.rows);
    multiply(x.rows, weight.rows, x.columns, all_of(x), Transposed::no, all_of(weight),
             Transposed::yes, all_of(y));
    return y;
}

// gradient_x += gradient_y w
void add_input_gradient(MatrixView gradient_y, MatrixView weight, Matrix& gradient_x) {
    multiply(gradient_y.rows, weight.columns, weight.rows, all_of(gradient_y), Transposed::no,
             all_of(weight), Transposed::no, all_of(gradient_x), 1.0F, 1.0F);
}

void add_to_all(const Matrix& term, Matrix& sum) {
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += term.values[i];
}

float sigmoid(float x) { return 1.0F / (1.0F + exponential(-x)); }
// d silu(x) / d x, with s = sigmoid(x)
float silu_slope(float x, float s) { return s * (1.0F + x * (1.0F - s)); }

// sum e^(row - largest): apart from the largest, as their sum would lose the digits that count.
struct ExponentialSum {
    float largest = 0.0F;
    float sum = 0.0F;
};
ExponentialSum exponential_sum(std::span<const float> row) {
    ExponentialSum of{.largest = *std::ranges::max_element(row)};
    for (const float value : row) of.sum += exponential(value - of.largest);
    return of;
}

}  // namespace

Variable linear(Tape& tape, Variable x, MatrixView frozen_weight) {
    return tape.record(times_transposed(tape.value(x), frozen_weight), {x},
                       [x, frozen_weight](Tape& on, const Matrix& gradient) {
                           if (Matrix* to = on.add_to(x)) {
                               add_input_gradient(gradient, frozen_weight, *to);
                           }
                       });
}

Variable linear(Tape& tape, Variable x, Variable weight, Variable bias) {
    Matrix y = times_transposed(tape.value(x), tape.value(weight));
    const Matrix& b = tape.value(bias);
    DLN_ASSERT(b.rows == 1 && b.columns == y.columns, "a bias of {} x {} for {} columns", b.rows,
               b.columns, y.columns);
    for (std::size_t r = 0; r < y.rows; ++r) {
        for (std::size_t c = 0; c < y.columns; ++c) y.row(r)[c] += b.values[c];
    }
    return tape.record(
        std::move(y), {x, weight, bias}, [x, weight, bias](Tape& on, const Matrix& gradient) {
            if (Matrix* to = on.add_to(x)) add_input_gradient(gradient, on.value(weight), *to);
            if (Matrix* to = on.add_to(weight)) {
                const Matrix& input = on.value(x);
                multiply(gradient.columns, input.columns, gradient.rows, all_of(gradient),
                         Transposed::yes, all_of(input), Transposed::no, all_of(*to), 1.0F, 1.0F);
            }
            if (Matrix* to = on.add_to(bias)) {
                for (std::size_t r = 0; r < gradient.rows; ++r) {
                    for (std::size_t c = 0; c < gradient.columns; ++c) {
                        to->values[c] += gradient.row(r)[c];
                    }
                }
            }
        });
}

Variable add(Tape& tape, Variable a, Variable b) {
    check_same_shape(tape.value(a), tape.value(b));
    Matrix sum = tape.value(a);
    add_to_all(tape.value(b), sum);
    return tape.record(std::move(sum), {a, b}, [a, b](Tape& on, const Matrix& gradient) {
        for (const Variable input : {a, b}) {
            if (Matrix* to = on.add_to(input)) add_to_all(gradient, *to);
        }
    });
}

Variable silu(Tape& tape, Variable x) {
    Matrix y = tape.value(x);
    for (float& value : y.values) value *= sigmoid(value);
    return tape.record(std::move(y), {x}, [x](Tape& on, const Matrix& gradient) {
        Matrix* to = on.add_to(x);
        if (to == nullptr) return;
        const std::vector<float>& in = on.value(x).values;
        for (std::size_t i = 0; i < in.size(); ++i) {
            to->values[i] += gradient.values[i] * silu_slope(in[i], sigmoid(in[i]));
        }
    });
}

namespace {

// to += gradient u d silu(g) / d g, with s = sigmoid(g)
void add_gate_gradient(std::span<const float> gradient,
                       std::span<const float> g,
                       std::span<const float> u,
                       std::span<const float> s,
                       std::span<float> to) {
    for (std::size_t c = 0; c < to.size(); ++c)
        to[c] += gradient[c] * u[c] * silu_slope(g[c], s[c]);
}

// to += gradient silu(g)
void add_up_gradient(std::span<const float> gradient,
                     std::span<const float> g,
                     std::span<const float> s,
                     std::span<float> to) {
    for (std::size_t c = 0; c < to.size(); ++c) to[c] += gradient[c] * g[c] * s[c];
}

}  // namespace

Variable swiglu(Tape& tape, Variable gate, Variable up) {
    check_same_shape(tape.value(gate), tape.value(up));
    Matrix y = tape.value(gate);
    const std::vector<float>& factors = tape.value(up).values;
    for (std::size_t i = 0; i < factors.size(); ++i) {
        y.values[i] *= sigmoid(y.values[i]) * factors[i];
    }
    return tape.record(std::move(y), {gate, up}, [gate, up](Tape& on, const Matrix& gradient) {
        const Matrix& g = on.value(gate);
        const Matrix& u = on.value(up);
        Matrix* to_gate = on.add_to(gate);
        Matrix* to_up = on.add_to(up);
        std::vector<float> s(g.columns);
        for (std::size_t r = 0; r < g.rows; ++r) {
            // Once for both, and in a loop of its own: exponentials are what takes time here.
            for (std::size_t c = 0; c < s.size(); ++c) s[c] = sigmoid(g.row(r)[c]);
            if (to_gate != nullptr)
                add_gate_gradient(gradient.row(r), g.row(r), u.row(r), s, to_gate->row(r));
            if (to_up != nullptr) add_up_gradient(gradient.row(r), g.row(r), s, to_up->row(r));
        }
    });
}

Variable rms_norm(Tape& tape, Variable x, MatrixView frozen_weight, float epsilon) {
    const Matrix& in = tape.value(x);
    const std::span<const float> w = frozen_weight.values;
    DLN_ASSERT(w.size() == in.columns, "a weight of {} for {} columns", w.size(), in.columns);
    Matrix y(in.rows, in.columns);
    std::vector<float> scales(in.rows);
    for (std::size_t r = 0; r < in.rows; ++r) {
        double squares = 0.0;
        for (const float value : in.row(r)) squares += static_cast<double>(value) * value;
        const double mean = squares / static_cast<double>(in.columns);
        scales[r] = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
        for (std::size_t c = 0; c < in.columns; ++c) y.row(r)[c] = in.row(r)[c] * scales[r] * w[c];
    }
    return tape.record(
        std::move(y), {x},
        [x, frozen_weight, scales = std::move(scales)](Tape& on, const Matrix& gradient) {
            Matrix* to = on.add_to(x);
            if (to == nullptr) return;
            const Matrix& input = on.value(x);
            const std::span<const float> weight = frozen_weight.values;
            for (std::size_t r = 0; r < input.rows; ++r) {
                // y = s x w with s = (mean x^2 + eps)^-1/2, so ds/dx = -s^3 x / columns.
                double along = 0.0;
                for (std::size_t c = 0; c < input.columns; ++c) {
                    along += static_cast<double>(gradient.row(r)[c]) * weight[c] * input.row(r)[c];
                }
                const float s = scales[r];
                const auto back =
                    static_cast<float>(along / static_cast<double>(input.columns)) * s * s * s;
                for (std::size_t c = 0; c < input.columns; ++c) {
                    to->row(r)[c] += gradient.row(r)[c] * weight[c] * s - input.row(r)[c] * back;
                }
            }
        });
}

namespace {

// Turns each pair of each head of `rows`; `sign` -1 turns back.
void turn(Matrix& rows,
          const std::vector<std::int32_t>& positions,
          std::size_t head_size,
          float base,
          float sign) {
    const std::size_t heads = rows.columns / head_size;
    std::vector<double> frequencies(head_size / 2);
    for (std::size_t i = 0; i < head_size / 2; ++i) {
        frequencies[i] = std::pow(static_cast<double>(base),
                                  -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
    }
    std::vector<float> cosines(head_size / 2);
    std::vector<float> sines(head_size / 2);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t i = 0; i < head_size / 2; ++i) {
            const double angle = positions[r] * frequencies[i];
            cosines[i] = static_cast<float>(std::cos(angle));
            sines[i] = sign * static_cast<float>(std::sin(angle));
        }
        for (std::size_t h = 0; h < heads; ++h) {
            const std::span<float> head = rows.row(r).subspan(h * head_size, head_size);
            for (std::size_t i = 0; i < head_size / 2; ++i) {
                const float a = head[2 * i];
                const float b = head[2 * i + 1];
                head[2 * i] = a * cosines[i] - b * sines[i];
                head[2 * i + 1] = a * sines[i] + b * cosines[i];
            }
        }
    }
}

}  // namespace

Variable rotate(Tape& tape,
                Variable x,
                std::vector<std::int32_t> positions,
                std::size_t head_size,
                float base) {
    Matrix y = tape.value(x);
    DLN_ASSERT(positions.size() == y.rows && head_size % 2 == 0 && y.columns % head_size == 0,
               "{} positions for {} x {}, heads of {}", positions.size(), y.rows, y.columns,
               head_size);
    turn(y, positions, head_size, base, 1.0F);
    return tape.record(
        std::move(y), {x},
        [x, positions = std::move(positions), head_size, base](Tape& on, const Matrix& gradient) {
            Matrix* to = on.add_to(x);
            if (to == nullptr) return;
            Matrix back = gradient;
            turn(back, positions, head_size, base, -1.0F);
            add_to_all(back, *to);
        });
}

Variable softmax(Tape& tape, Variable x) {
    Matrix y = tape.value(x);
    for (std::size_t r = 0; r < y.rows; ++r) {
        const ExponentialSum norm = exponential_sum(y.row(r));
        for (float& value : y.row(r)) value = exponential(value - norm.largest) / norm.sum;
    }
    Matrix probabilities = y;
    return tape.record(
        std::move(y), {x},
        [x, probabilities = std::move(probabilities)](Tape& on, const Matrix& gradient) {
            Matrix* to = on.add_to(x);
            if (to == nullptr) return;
            for (std::size_t r = 0; r < gradient.rows; ++r) {
                const std::span<const float> p = probabilities.row(r);
                const std::span<const float> g = gradient.row(r);
                float mean = 0.0F;
                for (std::size_t c = 0; c < p.size(); ++c) mean += p[c] * g[c];
                for (std::size_t c = 0; c < p.size(); ++c) to->row(r)[c] += p[c] * (g[c] - mean);
            }
        });
}

Variable log_at_least(Tape& tape, Variable x, float floor) {
    Matrix y = tape.value(x);
    for (float& value : y.values) value = std::log(std::max(value, floor));
    return tape.record(std::move(y), {x}, [x, floor](Tape& on, const Matrix& gradient) {
        Matrix* to = on.add_to(x);
        if (to == nullptr) return;
        const std::vector<float>& in = on.value(x).values;
        for (std::size_t i = 0; i < in.size(); ++i) {
            if (in[i] > floor) to->values[i] += gradient.values[i] / in[i];
        }
    });
}

Variable rows_of(Tape& tape, Variable x, std::vector<std::size_t> rows) {
    const Matrix& in = tape.value(x);
    Matrix y(rows.size(), in.columns);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        DLN_ASSERT(rows[r] < in.rows, "row {} of {}", rows[r], in.rows);
        std::ranges::copy(in.row(rows[r]), y.row(r).begin());
    }
    return tape.record(std::move(y), {x},
                       [x, rows = std::move(rows)](Tape& on, const Matrix& gradient) {
                           Matrix* to = on.add_to(x);
                           if (to == nullptr) return;
                           for (std::size_t r = 0; r < rows.size(); ++r) {
                               for (std::size_t c = 0; c < gradient.columns; ++c) {
                                   to->row(rows[r])[c] += gradient.row(r)[c];
                               }
                           }
                       });
}

Variable stacked(Tape& tape, Variable a, Variable b) {
    const Matrix& first = tape.value(a);
    const Matrix& second = tape.value(b);
    DLN_ASSERT(first.columns == second.columns, "{} columns above {}", first.columns,
               second.columns);
    Matrix y(first.rows + second.rows, first.columns);
    std::ranges::copy(first.values, y.values.begin());
    std::ranges::copy(second.values,
                      y.values.begin() + static_cast<std::ptrdiff_t>(first.values.size()));
    return tape.record(std::move(y), {a, b}, [a, b](Tape& on, const Matrix& gradient) {
        std::size_t from = 0;
        for (const Variable input : {a, b}) {
            const std::size_t count = on.value(input).values.size();
            if (Matrix* to = on.add_to(input)) {
                for (std::size_t i = 0; i < count; ++i) {
                    to->values[i] += gradient.values[from + i];
                }
            }
            from += count;
        }
    });
}

Variable cross_entropy(Tape& tape, Variable logits, std::vector<std::int32_t> targets) {
    const Matrix& in = tape.value(logits);
    DLN_ASSERT(targets.size() == in.rows && in.rows > 0, "{} targets for {} rows", targets.size(),
               in.rows);
    std::vector<ExponentialSum> norms(in.rows);
    double sum = 0.0;
    for (std::size_t r = 0; r < in.rows; ++r) {
        norms[r] = exponential_sum(in.row(r));
        const float target = in.row(r)[static_cast<std::size_t>(targets[r])];
        sum += std::log(norms[r].sum) + (norms[r].largest - target);
    }
    Matrix mean(1, 1);
    mean.values[0] = static_cast<float>(sum / static_cast<double>(in.rows));
    return tape.record(std::move(mean), {logits},
                       [logits, targets = std::move(targets), norms = std::move(norms)](
                           Tape& on, const Matrix& gradient) {
                           Matrix* to = on.add_to(logits);
                           if (to == nullptr) return;
                           const Matrix& input = on.value(logits);
                           const float share = gradient.values[0] / static_cast<float>(input.rows);
                           for (std::size_t r = 0; r < input.rows; ++r) {
                               for (std::size_t c = 0; c < input.columns; ++c) {
                                   to->row(r)[c] +=
                                       share * exponential(input.row(r)[c] - norms[r].largest) /
                                       norms[r].sum;
                               }
                               to->row(r)[static_cast<std::size_t>(targets[r])] -= share;
                           }
                       });
}

Variable cross_entropy_of_shares(Tape& tape, Variable logits, const Matrix& shares) {
    const Matrix& in = tape.value(logits);
    check_same_shape(in, shares);
    // d mean / d logits = (softmax - shares) / rows
    Matrix slope(in.rows, in.columns);
    const float each = 1.0F / static_cast<float>(in.rows);
    double sum = 0.0;
    for (std::size_t r = 0; r < in.rows; ++r) {
        const ExponentialSum norm = exponential_sum(in.row(r));
        for (std::size_t c = 0; c < in.columns; ++c) {
            const float log_p = in.row(r)[c] - norm.largest - std::log(norm.sum);
            sum -= static_cast<double>(shares.row(r)[c]) * log_p;
            slope.row(r)[c] = each * (std::exp(log_p) - shares.row(r)[c]);
        }
    }
    Matrix mean(1, 1);
    mean.values[0] = static_cast<float>(sum / static_cast<double>(in.rows));
    return tape.record(std::move(mean), {logits},
                       [logits, slope = std::move(slope)](Tape& on, const Matrix& gradient) {
                           Matrix* to = on.add_to(logits);
                           if (to == nullptr) return;
                           for (std::size_t i = 0; i < slope.values.size(); ++i) {
                               to->values[i] += gradient.values[0] * slope.values[i];
                           }
                       });
}

}  // namespace dln::nn
