#include "dln/mop/mixture_decoder.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"
#include "dln/llm/logits.hpp"
#include "dln/mop/hidden_states.hpp"

#include "mop/block.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

void add_rows(const Matrix& rows, std::vector<float>& to) {
    to.insert(to.end(), rows.values.begin(), rows.values.end());
}

float dot(const float* a, const float* b, std::size_t size) {
    float sum = 0.0F;
    for (std::size_t i = 0; i < size; ++i) sum += a[i] * b[i];
    return sum;
}

// In place.
void to_softmax(std::vector<float>& scores) {
    const float largest = *std::ranges::max_element(scores);
    float sum = 0.0F;
    for (float& score : scores) {
        score = std::exp(score - largest);
        sum += score;
    }
    for (float& score : scores) score /= sum;
}

}  // namespace

MixtureDecoder::MixtureDecoder(const LlamaWeights& weights,
                               const Matrix& prompts,
                               std::size_t experts,
                               std::size_t block,
                               LogGate log_gate)
    : weights_(weights),
      block_(block),
      vectors_(prompts.rows / experts),
      log_gate_of_(std::move(log_gate)),
      caches_(weights.blocks.size()) {
    Tape tape;
    for (const KeysAndValues& its : prompt_prefix(tape, weights, tape.constant(prompts), experts,
                                                  block, weights.blocks.size())) {
        prefix_.push_back({.k = tape.value(its.k), .v = tape.value(its.v)});
    }
}

void MixtureDecoder::begin(const std::vector<std::int32_t>& context) {
    DLN_ASSERT(!context.empty(), "{} tokens of context", context.size());
    Tape tape;
    std::vector<KeysAndValues> computed;
    const auto keep = [&computed](const BlockRecord& record) {
        computed.push_back({.k = record.k, .v = record.v});
    };
    const std::vector<std::size_t> lengths{context.size()};
    const Variable below = run_blocks(tape, weights_, tape.constant(embed(weights_, context)),
                                      lengths, 0, block_, {}, keep);
    log_gate_ = log_gate_of_(gate_input(tape.value(below), context.size()));
    Matrix log_gate(1, log_gate_.size());
    log_gate.values = log_gate_;
    MixturePrefix prefix{.blocks = {}, .vectors = vectors_, .log_gate = tape.constant(log_gate)};
    for (const Prefix& its : prefix_) {
        prefix.blocks.push_back({.k = tape.constant(its.k), .v = tape.constant(its.v)});
    }
    const Variable hidden = run_blocks_behind(tape, weights_, below, lengths, block_,
                                              weights_.blocks.size(), prefix, keep);
    context_logits_ = tape.value(logits(tape, weights_, hidden, {context.size() - 1}));
    for (std::size_t b = 0; b < caches_.size(); ++b) {
        caches_[b] = {};
        add_rows(tape.value(computed[b].k), caches_[b].k);
        add_rows(tape.value(computed[b].v), caches_[b].v);
    }
    context_length_ = context.size();
    length_ = context.size();
}

Matrix MixtureDecoder::append(std::span<const std::int32_t> tokens) {
    DLN_ASSERT(length_ > 0, "{} tokens before a context", tokens.size());
    Tape tape;
    Variable hidden = tape.constant(embed(weights_, {tokens.begin(), tokens.end()}));
    for (std::size_t b = 0; b < weights_.blocks.size(); ++b) {
        std::vector<std::int32_t> positions;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const std::size_t before = b < block_ ? 0 : vectors_;
            positions.push_back(static_cast<std::int32_t>(before + length_ + i));
        }
        const LlamaBlock& block = weights_.blocks[b];
        const Projections its = project(tape, weights_.shape, block, hidden, positions);
        add_rows(tape.value(its.k), caches_[b].k);
        add_rows(tape.value(its.v), caches_[b].v);
        const Variable attended = tape.constant(attend(b, tape.value(its.q)));
        hidden = feed_forward(tape, weights_.shape, block, hidden, attended).out;
    }
    length_ += tokens.size();
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < tokens.size(); ++i) rows.push_back(i);
    return tape.value(logits(tape, weights_, hidden, rows));
}

Matrix MixtureDecoder::attend(std::size_t block, const Matrix& q) const {
    Matrix out(q.rows, q.columns);
    for (std::size_t r = 0; r < q.rows; ++r) {
        attend_row(block, length_ + r + 1, q.row(r), out.row(r));
    }
    return out;
}

// One query over the prompts and the first `seen` rows of the cache; the formula is that of nn::causal_attention.
void MixtureDecoder::attend_row(std::size_t block,
                                std::size_t seen,
                                std::span<const float> q,
                                std::span<float> out) const {
    const LlamaShape& shape = weights_.shape;
    const std::size_t width = shape.kv_heads * shape.head_size;
    const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_size));
    const Prefix* prefix = block >= block_ ? &prefix_[block - block_] : nullptr;
    const std::size_t before = prefix != nullptr ? prefix->k.rows : 0;
    const Cache& cache = caches_[block];
    std::vector<float> weights(before + seen);
    for (std::size_t head = 0; head < shape.heads; ++head) {
        const std::size_t column = head * shape.kv_heads / shape.heads * shape.head_size;
        const float* query = q.data() + head * shape.head_size;
        for (std::size_t j = 0; j < before; ++j) {
            const float product = dot(query, prefix->k.row(j).data() + column, shape.head_size);
            weights[j] = scale * product + log_gate_[j / vectors_];
        }
        for (std::size_t t = 0; t < seen; ++t) {
            const float* key = cache.k.data() + t * width + column;
            weights[before + t] = scale * dot(query, key, shape.head_size);
        }
        to_softmax(weights);
        for (std::size_t j = 0; j < weights.size(); ++j) {
            const float* value =
                j < before ? prefix->v.row(j).data() : cache.v.data() + (j - before) * width;
            for (std::size_t c = 0; c < shape.head_size; ++c) {
                out[head * shape.head_size + c] += weights[j] * value[column + c];
            }
        }
    }
}

void MixtureDecoder::rewind(std::size_t tokens) {
    DLN_ASSERT(tokens >= context_length_ && tokens <= length_, "back to {} of {} to {} tokens",
               tokens, context_length_, length_);
    const std::size_t width = weights_.shape.kv_heads * weights_.shape.head_size;
    for (Cache& cache : caches_) {
        cache.k.resize(tokens * width);
        cache.v.resize(tokens * width);
    }
    length_ = tokens;
}

GeneratedText generate(MixtureDecoder& decoder,
                       const Tokenizer& tokenizer,
                       const std::vector<std::int32_t>& context,
                       const DrawOptions& options,
                       const CounterRng& random) {
    decoder.begin(context);
    DrawnText text(tokenizer, options, random);
    std::optional<std::int32_t> token = text.draw(decoder.context_logits());
    while (token) token = text.draw(decoder.append({&*token, 1}).values);
    return text.take();
}

std::vector<TargetScore> score(MixtureDecoder& decoder,
                               const std::vector<std::int32_t>& context,
                               const std::vector<std::vector<std::int32_t>>& targets) {
    decoder.begin(context);
    std::vector<TargetScore> scores;
    for (const std::vector<std::int32_t>& target : targets) {
        TargetScore& score = scores.emplace_back();
        if (target.empty()) {
            score.error = "the target has no tokens";
            continue;
        }
        // The last token is predicted and need not be computed.
        const Matrix behind = target.size() > 1
                                  ? decoder.append(std::span(target).first(target.size() - 1))
                                  : Matrix();
        for (std::size_t i = 0; i < target.size(); ++i) {
            const std::span<const float> row =
                i == 0 ? decoder.context_logits() : behind.row(i - 1);
            const auto logit = static_cast<double>(row[static_cast<std::size_t>(target[i])]);
            score.token_log_probs.push_back(logit - log_sum_exp(row));
        }
        if (!std::ranges::all_of(score.token_log_probs,
                                 [](double value) { return std::isfinite(value); })) {
            score = {.token_log_probs = {},
                     .error = "the model returned logits that are not finite"};
        }
        decoder.rewind(context.size());
    }
    return scores;
}

}  // namespace dln::mop
