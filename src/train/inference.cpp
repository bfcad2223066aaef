#include "dln/train/inference.hpp"

#include <algorithm>
#include <cmath>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

constexpr double kContrastFloor = 1e-12;

void check_shape(const ScoreTable& table, const ScoreTable& like) {
    DLN_ASSERT(table.rows() == like.rows() && table.columns() == like.columns(),
               "a table of {} x {} beside one of {} x {}", table.rows(), table.columns(),
               like.rows(), like.columns());
}

void add(std::optional<double>& sum, double factor, std::optional<double> term) {
    if (!sum) return;
    if (term) {
        *sum += factor * *term;
    } else {
        sum.reset();
    }
}

std::optional<double> exponent(const WeightTerms& terms, std::size_t i, std::size_t k) {
    if (!terms.drawn.at(i, k)) return std::nullopt;
    std::optional<double> sum = terms.log_likelihood.at(i, k);
    for (const ScoreTable& layer : terms.log_prior) add(sum, 1.0, layer.at(i, k));
    if (terms.log_marginal) add(sum, -1.0, terms.log_marginal->at(i, k));
    for (const ScoreTable& layer : terms.log_q) add(sum, -1.0, layer.at(i, k));
    return sum;
}

// The first of the largest.
std::optional<std::size_t> largest(const ScoreTable& table, std::size_t row) {
    std::optional<std::size_t> best;
    for (std::size_t k = 0; k < table.columns(); ++k) {
        const auto value = table.at(row, k);
        if (value && (!best || *value > *table.at(row, *best))) best = k;
    }
    return best;
}

void weigh_row(const ScoreTable& exponents,
               std::size_t row,
               const WeightRule& rule,
               double* weights) {
    const auto best = largest(exponents, row);
    if (!best) return;
    if (rule.argmax) {
        weights[*best] = 1.0;
        return;
    }
    const double maximum = *exponents.at(row, *best);
    double sum = 0.0;
    for (std::size_t k = 0; k < exponents.columns(); ++k) {
        const auto value = exponents.at(row, k);
        if (!value) continue;
        const bool is_uniform = rule.temperature >= kUniformTemperature;
        weights[k] = is_uniform ? 1.0 : std::exp((*value - maximum) / rule.temperature);
        sum += weights[k];
    }
    for (std::size_t k = 0; k < exponents.columns(); ++k) weights[k] /= sum;
}

}  // namespace

ScoreTable::ScoreTable(std::size_t rows, std::size_t columns)
    : rows_(rows), columns_(columns), cells_(rows * columns) {}

std::optional<double> ScoreTable::at(std::size_t row, std::size_t column) const {
    DLN_ASSERT(row < rows_ && column < columns_, "[{}][{}] of a table of {} x {}", row, column,
               rows_, columns_);
    return cells_[row * columns_ + column];
}

void ScoreTable::set(std::size_t row, std::size_t column, double value) {
    DLN_ASSERT(row < rows_ && column < columns_, "[{}][{}] of a table of {} x {}", row, column,
               rows_, columns_);
    DLN_ASSERT(std::isfinite(value), "{} is no score", value);
    cells_[row * columns_ + column] = value;
}

bool Weights::any() const {
    return std::ranges::any_of(best, [](const auto& sample) { return sample.has_value(); });
}

ScoreTable weight_exponents(const WeightTerms& terms) {
    check_shape(terms.log_likelihood, terms.drawn);
    for (const ScoreTable& layer : terms.log_prior) check_shape(layer, terms.drawn);
    for (const ScoreTable& layer : terms.log_q) check_shape(layer, terms.drawn);
    if (terms.log_marginal) check_shape(*terms.log_marginal, terms.drawn);
    ScoreTable exponents(terms.drawn.rows(), terms.drawn.columns());
    for (std::size_t i = 0; i < exponents.rows(); ++i) {
        for (std::size_t k = 0; k < exponents.columns(); ++k) {
            if (const auto value = exponent(terms, i, k)) exponents.set(i, k, *value);
        }
    }
    return exponents;
}

bool needs_no_terms(const WeightRule& rule, std::size_t samples) {
    return samples <= 1 || (rule.temperature >= kUniformTemperature && !rule.argmax);
}

Weights posterior_weights(const WeightTerms& terms, const WeightRule& rule) {
    const std::size_t samples = terms.drawn.columns();
    const bool is_known = needs_no_terms(rule, samples);
    const ScoreTable exponents = is_known ? terms.drawn : weight_exponents(terms);
    Weights weights{.samples = samples,
                    .values = std::vector<double>(exponents.rows() * samples, 0.0),
                    .best = std::vector<std::optional<std::size_t>>(exponents.rows())};
    const WeightRule used = is_known ? WeightRule{.temperature = kUniformTemperature} : rule;
    for (std::size_t i = 0; i < exponents.rows(); ++i) {
        double* row = weights.values.data() + i * samples;
        weigh_row(exponents, i, used, row);
        double* const heaviest = std::max_element(row, row + samples);
        if (samples > 0 && *heaviest > 0.0)
            weights.best[i] = static_cast<std::size_t>(heaviest - row);
    }
    return weights;
}

ExampleValues weighted_scores(const Weights& weights, const ScoreTable& scores) {
    DLN_ASSERT(scores.columns() >= weights.samples, "{} scores for {} samples", scores.columns(),
               weights.samples);
    ExampleValues values(weights.best.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!weights.best[i]) continue;
        values[i] = 0.0;
        for (std::size_t j = 0; j < weights.samples; ++j) {
            if (const double weight = weights.at(i, j); weight > 0.0) {
                add(values[i], weight, scores.at(i, j));
            }
        }
    }
    return values;
}

ScoreTable contrasted(const ScoreTable& scores) {
    ScoreTable result(scores.rows(), scores.columns());
    for (std::size_t i = 0; i < scores.rows(); ++i) {
        const auto best = largest(scores, i);
        if (!best) continue;
        const double maximum = *scores.at(i, *best);
        double sum = 0.0;
        for (std::size_t j = 0; j < scores.columns(); ++j) {
            if (const auto value = scores.at(i, j)) sum += std::exp(*value - maximum);
        }
        for (std::size_t j = 0; j < scores.columns(); ++j) {
            const auto value = scores.at(i, j);
            if (!value) continue;
            result.set(i, j, std::log(std::exp(*value - maximum) / sum + kContrastFloor));
        }
    }
    return result;
}

double kl_divergence(std::span<const double> log_p, std::span<const double> log_q) {
    DLN_ASSERT(log_p.size() == log_q.size() && !log_p.empty(), "{} classes beside {}", log_p.size(),
               log_q.size());
    double sum = 0.0;
    for (std::size_t c = 0; c < log_p.size(); ++c) {
        const double p = std::exp(log_p[c]);
        // A class without probability adds nothing, whatever q says of it.
        if (p > 0.0) sum += p * (log_p[c] - log_q[c]);
    }
    return sum;
}

void subtract(ExampleValues& values, double factor, const ExampleValues& amounts) {
    if (factor == 0.0) return;
    DLN_ASSERT(values.size() == amounts.size(), "{} values, {} amounts", values.size(),
               amounts.size());
    for (std::size_t i = 0; i < values.size(); ++i) add(values[i], -factor, amounts[i]);
}

double penalty_factor(double factor, bool decays, std::int64_t step, std::int64_t steps) {
    if (!decays || steps <= 0) return factor;
    const double left = 1.0 - static_cast<double>(step) / static_cast<double>(steps);
    return factor * std::max(left, 0.0);
}

CandidateScore score_of(std::size_t candidate,
                        const ExampleValues& values,
                        std::span<const std::size_t> ranked_on,
                        std::span<const double> weights) {
    CandidateScore score{.candidate = candidate};
    if (!weights.empty()) score.weight = 0;
    for (const std::size_t i : ranked_on) {
        if (!values[i]) {
            ++score.failed;
            continue;
        }
        const double weight = weights.empty() ? 1.0 : weights[i];
        score.sum += to_fixed_point(weight * *values[i]);
        if (score.weight) *score.weight += to_fixed_point(weight);
        ++score.scored;
    }
    return score;
}

}  // namespace dln
