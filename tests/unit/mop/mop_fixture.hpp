#pragma once
// A tiny model and a few texts, for tests of mixtures.

#include <deque>
#include <memory>
#include <vector>

#include "dln/job/mop_job.hpp"
#include "dln/mop/hidden_states.hpp"
#include "dln/mop/ranks.hpp"
#include "dln/mop/texts.hpp"

#include "unit/nn/finite_differences.hpp"

namespace dln::mop::testing {

using nn::testing::random_matrix;

/// `blocks` blocks of width 8, four heads that share two; 11 tokens.
inline LlamaWeights small_model(int blocks = 2) {
    LlamaWeights weights;
    weights.shape = {.width = 8, .heads = 4, .kv_heads = 2, .head_size = 2, .rope_base = 100.0F};
    const auto held = std::make_shared<std::deque<nn::Matrix>>();
    weights.holder = held;
    const auto made = [&held](std::size_t rows, std::size_t columns) -> const nn::Matrix& {
        return held->emplace_back(random_matrix(rows, columns, held->size() + 1));
    };
    weights.embedding = made(11, 8);
    for (int b = 0; b < blocks; ++b) {
        weights.blocks.push_back({.attention_norm = made(1, 8),
                                  .q = made(8, 8),
                                  .k = made(4, 8),
                                  .v = made(4, 8),
                                  .output = made(8, 8),
                                  .ffn_norm = made(1, 8),
                                  .gate = made(6, 8),
                                  .up = made(6, 8),
                                  .down = made(8, 6)});
    }
    weights.output_norm = made(1, 8);
    return weights;
}

/// Two experts of two vectors, a gate of three hidden units.
inline MixtureShape small_shape() { return {.experts = 2, .vectors = 2, .width = 8, .gate = 3}; }

inline MixtureParameters random_parameters(const MixtureShape& shape, std::uint64_t seed) {
    MixtureParameters parameters = zero_parameters(shape);
    for (nn::Matrix* part : parameters.parts()) {
        *part = random_matrix(part->rows, part->columns, ++seed);
    }
    return parameters;
}

/// Texts of two tasks, which have other tokens, of different lengths: task t's answers are tokens 2 t + 1 and 2 t + 2.
inline MixtureTexts small_texts(const LlamaWeights& weights, std::size_t count) {
    MixtureTexts texts;
    std::vector<nn::Matrix> rows;
    texts.z = nn::Matrix(count, weights.shape.width);
    for (std::size_t i = 0; i < count; ++i) {
        const auto task = static_cast<std::int32_t>(i % 2);
        GatedText text{.tokens = {5 + 3 * task, 6 + 3 * task}, .gate_tokens = 2};
        if (i % 3 == 0) text.tokens.insert(text.tokens.begin(), 7 + 3 * task);
        text.gate_tokens = text.tokens.size();
        text.tokens.push_back(2 * task + 1);  // the last answer token predicts nothing
        const HiddenState state = hidden_state(weights, 1, text);
        rows.push_back(state.rows);
        std::copy(state.gate_input.begin(), state.gate_input.end(), texts.z.row(i).begin());
        texts.answers.push_back({2 * task + 1, 2 * task + 2});
        texts.task_of.push_back(static_cast<std::size_t>(task));
    }
    texts.rows = [rows](std::size_t i) { return rows.at(i); };
    return texts;
}

/// A job of those two tasks.
inline MopJob small_job() {
    MopJob job;
    job.seed = 3;
    job.tasks.resize(2);
    job.tasks[0].name = "first";
    job.tasks[1].name = "second";
    job.mixture = {.experts = 2, .vectors = 2, .injection_block = 1};
    job.mixture.gate.hidden = 3;
    job.train = {.steps = 4, .batch_size = 5, .micro_batch = 2, .eval_every = 2};
    return job;
}

}  // namespace dln::mop::testing
