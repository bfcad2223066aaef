#include "dln/mop/compress.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dln/error.hpp"
#include "dln/llm/model_variant.hpp"
#include "dln/mop/base_model.hpp"

namespace dln::mop {
namespace {

// Enters the names of files: a change of what is computed needs another number.
constexpr int kMethodVersion = 1;

using Tokens = std::vector<std::int32_t>;

/// For each column of what goes into a linear layer the sum of squares over all tokens.
class SquareSums {
  public:
    void add(const nn::Matrix& in) {
        sums_.resize(in.columns);
        for (std::size_t r = 0; r < in.rows; ++r) {
            const std::span<const float> row = in.row(r);
            for (std::size_t c = 0; c < row.size(); ++c) {
                sums_[c] += static_cast<double>(row[c]) * row[c];
            }
        }
    }
    [[nodiscard]] std::span<const double> values() const { return sums_; }

  private:
    std::vector<double> sums_;
};

/// The calibration texts on their way through the blocks.
class Calibration {
  public:
    Calibration(const LlamaWeights& weights, const std::vector<Tokens>& texts)
        : shape_(weights.shape) {
        for (const Tokens& text : texts) states_.push_back(embed(weights, text));
    }

    /// Activations of a block that the texts have reached.
    struct Inputs {
        SquareSums attention_in;
        SquareSums attended;
        SquareSums ffn_in;
        SquareSums ffn_inner;
        [[nodiscard]] const SquareSums& of(BlockTensor layer) const {
            switch (layer) {
                case BlockTensor::attention_output:
                    return attended;
                case BlockTensor::ffn_gate:
                case BlockTensor::ffn_up:
                    return ffn_in;
                case BlockTensor::ffn_down:
                    return ffn_inner;
                default:
                    return attention_in;
            }
        }
    };
    [[nodiscard]] Inputs measure(const LlamaBlock& block) const {
        Inputs inputs;
        for (const nn::Matrix& state : states_) {
            nn::Tape tape;
            (void)run(tape, block, state, [&](const BlockRecord& record) {
                inputs.attention_in.add(tape.value(record.attention_in));
                inputs.attended.add(tape.value(record.attended));
                inputs.ffn_in.add(tape.value(record.ffn_in));
                inputs.ffn_inner.add(tape.value(record.ffn_inner));
            });
        }
        return inputs;
    }
    void advance(const LlamaBlock& block) {
        for (nn::Matrix& state : states_) {
            nn::Tape tape;
            state = tape.value(run(tape, block, state, {}));
        }
    }

  private:
    [[nodiscard]] nn::Variable run(nn::Tape& tape,
                                   const LlamaBlock& block,
                                   const nn::Matrix& state,
                                   const BlockObserver& observer) const {
        LlamaWeights one;
        one.shape = shape_;
        one.blocks = {block};
        return run_blocks(tape, one, tape.constant(state), {state.rows}, 0, 1, {}, observer);
    }

    LlamaShape shape_;
    std::vector<nn::Matrix> states_;
};

std::vector<float>& at(BlockValues& values, BlockTensor which) {
    return values[static_cast<std::size_t>(which)];
}

/// The block with these values.
LlamaBlock block_of(const LlamaBlock& old, const BlockValues& values) {
    const auto with = [&values](nn::MatrixView shape, BlockTensor which) {
        return nn::MatrixView(shape.rows, shape.columns, values[static_cast<std::size_t>(which)]);
    };
    return {.attention_norm = old.attention_norm,
            .q = with(old.q, BlockTensor::q),
            .k = with(old.k, BlockTensor::k),
            .v = with(old.v, BlockTensor::v),
            .output = with(old.output, BlockTensor::attention_output),
            .ffn_norm = old.ffn_norm,
            .gate = with(old.gate, BlockTensor::ffn_gate),
            .up = with(old.up, BlockTensor::ffn_up),
            .down = with(old.down, BlockTensor::ffn_down)};
}

void round_pruned(StorageType storage, std::size_t columns, std::vector<float>& values) {
    std::vector<bool> kept(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) kept[i] = values[i] != 0.0F;
    round_through(storage, columns, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!kept[i]) values[i] = 0.0F;
    }
}

class Compressor {
  public:
    Compressor(const GgufWeights& source, const Compression& how, const std::vector<Tokens>& texts)
        : source_(source), how_(how), weights_(llama_weights(source)) {
        if (how.pruning == Pruning::wanda) calibration_.emplace(weights_, texts);
    }
    void change(std::size_t b, BlockValues& values) {
        std::optional<Calibration::Inputs> inputs;
        if (calibration_) inputs = calibration_->measure(weights_.blocks[b]);
        for (const BlockTensor layer : kLinearLayers) {
            std::vector<float>& its = at(values, layer);
            const std::size_t columns = source_.blocks[b][layer].columns;
            if (how_.pruning == Pruning::magnitude) {
                prune(magnitude_scores(its), its.size(), how_.sparsity, its);
            } else if (inputs) {
                prune(wanda_scores(its, inputs->of(layer).values()), columns, how_.sparsity, its);
            }
            if (how_.pruning == Pruning::none) {
                round_through(how_.storage, columns, its);
            } else {
                round_pruned(how_.storage, columns, its);
            }
        }
        if (calibration_) calibration_->advance(block_of(weights_.blocks[b], values));
    }

  private:
    const GgufWeights& source_;
    Compression how_;
    LlamaWeights weights_;
    std::optional<Calibration> calibration_;
};

std::string storage_name(StorageType storage) {
    switch (storage) {
        case StorageType::q8_0:
            return "q8_0";
        case StorageType::q4_1:
            return "q4_1";
        case StorageType::f32:
            break;
    }
    return "f32";
}

}  // namespace

void prune(std::span<const double> scores,
           std::size_t n,
           double sparsity,
           std::span<float> values) {
    DLN_ASSERT(n > 0 && scores.size() == values.size() && values.size() % n == 0,
               "{} scores of {} values, {} at a time", scores.size(), values.size(), n);
    const auto count = static_cast<std::ptrdiff_t>(sparsity * static_cast<double>(n));
    std::vector<std::uint32_t> order(n);
    for (std::size_t first = 0; first < values.size(); first += n) {
        const std::span<const double> its = scores.subspan(first, n);
        std::iota(order.begin(), order.end(), 0U);
        std::nth_element(order.begin(), order.begin() + count, order.end(),
                         [its](std::uint32_t a, std::uint32_t b) {
                             return its[a] != its[b] ? its[a] < its[b] : a < b;
                         });
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            values[first + order[static_cast<std::size_t>(i)]] = 0.0F;
        }
    }
}

std::vector<double> magnitude_scores(std::span<const float> weights) {
    std::vector<double> scores(weights.size());
    std::ranges::transform(weights, scores.begin(), [](float w) { return std::abs(double{w}); });
    return scores;
}

std::vector<double> wanda_scores(std::span<const float> weights,
                                 std::span<const double> square_sums) {
    const std::size_t columns = square_sums.size();
    DLN_ASSERT(columns > 0 && weights.size() % columns == 0, "{} weights over {} columns",
               weights.size(), columns);
    std::vector<double> norms(columns);
    std::ranges::transform(square_sums, norms.begin(), [](double sum) { return std::sqrt(sum); });
    std::vector<double> scores(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
        scores[i] = std::abs(double{weights[i]}) * norms[i % columns];
    }
    return scores;
}

std::string name_of(const Compression& compression) {
    std::string name;
    if (compression.pruning != Pruning::none) {
        name = fmt::format("{}-{}", compression.pruning == Pruning::wanda ? "wanda" : "magnitude",
                           compression.sparsity);
        if (compression.storage == StorageType::f32) return name;
        name += '-';
    }
    return name + storage_name(compression.storage);
}

GgufWeights compressed(const GgufWeights& source,
                       const Compression& compression,
                       const std::vector<Tokens>& calibration) {
    if (compression.changes_nothing()) return source;
    DLN_ASSERT(compression.pruning == Pruning::none ||
                   (compression.sparsity > 0.0 && compression.sparsity < 1.0),
               "a sparsity of {}", compression.sparsity);
    const bool calibrates = compression.pruning == Pruning::wanda;
    DLN_ASSERT(!calibrates || !calibration.empty(), "{} calibration texts", calibration.size());
    std::string depends_on = fmt::format("{} {}", kMethodVersion, name_of(compression));
    if (calibrates) {
        for (const Tokens& text : calibration)
            depends_on += fmt::format("\n{}", fmt::join(text, " "));
    }
    std::optional<Compressor> compressor;
    return open_variant(source, name_of(compression), depends_on,
                        [&](std::size_t block, BlockValues& values) {
                            if (!compressor) compressor.emplace(source, compression, calibration);
                            compressor->change(block, values);
                        });
}

}  // namespace dln::mop
