#include "dln/mop/loss.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"
#include "dln/nn/operations.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

// Texts one behind the other, and which rows predict which token.
struct Together {
    Matrix hidden;
    Matrix z;
    std::vector<std::size_t> lengths;
    std::vector<std::size_t> predicting;
    std::vector<std::int32_t> targets;
};

Together put_together(std::span<const MixtureText> texts) {
    DLN_ASSERT(!texts.empty(), "no text");
    const std::size_t width = texts.front().hidden.columns;
    Together all;
    all.z = Matrix(texts.size(), width);
    std::size_t rows = 0;
    for (const MixtureText& text : texts) rows += text.hidden.rows;
    all.hidden = Matrix(rows, width);
    std::size_t at = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const MixtureText& text = texts[i];
        DLN_ASSERT(!text.answer.empty() && text.hidden.rows >= text.answer.size(),
                   "{} rows for {} answer tokens", text.hidden.rows, text.answer.size());
        std::ranges::copy(text.hidden.values, all.hidden.row(at).begin());
        std::ranges::copy(text.z.values, all.z.row(i).begin());
        at += text.hidden.rows;
        all.lengths.push_back(text.hidden.rows);
        for (std::size_t t = 0; t < text.answer.size(); ++t) {
            all.predicting.push_back(at - text.answer.size() + t);
            all.targets.push_back(text.answer[t]);
        }
    }
    return all;
}

struct Forward {
    TapedMixture mixture;
    Variable logits;
};

Forward forward(Tape& tape,
                const MixtureModel& model,
                const MixtureParameters& parameters,
                GateUse use,
                Together& texts) {
    const LlamaWeights& weights = *model.weights;
    const TapedMixture mixture = on_tape(tape, parameters, use, std::move(texts.z));
    const Variable hidden = run_blocks(
        tape, weights, tape.constant(std::move(texts.hidden)), texts.lengths, model.first_block,
        weights.blocks.size(), Mixture{.prompts = mixture.prompts, .log_gate = mixture.log_gate});
    return {.mixture = mixture, .logits = logits(tape, weights, hidden, texts.predicting)};
}

// Adds a token, of which `row` are the logits.
void add_token(std::span<const float> row, std::int32_t target, TextLoss& loss) {
    const double largest = *std::ranges::max_element(row);
    double sum = 0.0;
    for (const float value : row) sum += std::exp(value - largest);
    const double its = row[static_cast<std::size_t>(target)];
    loss.nll += std::log(sum) + largest - its;
    if (its < largest) loss.right = false;
}

}  // namespace

MeasuredTexts measure(const MixtureModel& model,
                      const MixtureParameters& parameters,
                      GateUse use,
                      std::span<const MixtureText> texts) {
    Together all = put_together(texts);
    Tape tape;
    const Forward made = forward(tape, model, parameters, use, all);
    MeasuredTexts measured{.losses = {}, .gate = tape.value(made.mixture.gate)};
    const Matrix& rows = tape.value(made.logits);
    std::size_t row = 0;
    for (const MixtureText& text : texts) {
        TextLoss loss{.tokens = text.answer.size(), .right = true};
        for (const std::int32_t token : text.answer) add_token(rows.row(row++), token, loss);
        measured.losses.push_back(loss);
    }
    return measured;
}

LossGradient differentiate(const MixtureModel& model,
                           const MixtureParameters& parameters,
                           GateUse use,
                           std::span<const MixtureText> texts) {
    Together all = put_together(texts);
    Tape tape;
    const Forward made = forward(tape, model, parameters, use, all);
    const std::size_t tokens = all.targets.size();
    const Variable mean = cross_entropy(tape, made.logits, all.targets);
    tape.backward(mean);
    LossGradient result{.loss = {.nll = static_cast<double>(tape.value(mean).values[0]) *
                                        static_cast<double>(tokens),
                                 .tokens = tokens},
                        .gradient = parameters};
    const auto parts = result.gradient.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Variable variable = made.mixture.parts.at(i);
        std::vector<float>& to = parts.at(i)->values;
        std::ranges::fill(to, 0.0F);
        if (!tape.wants_gradient(variable)) continue;
        const std::vector<float>& from = tape.gradient(variable).values;
        for (std::size_t k = 0; k < to.size(); ++k) to[k] = from[k] * static_cast<float>(tokens);
    }
    return result;
}

}  // namespace dln::mop
