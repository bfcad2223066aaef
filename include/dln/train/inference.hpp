#pragma once
// Variational inference of a network with latents (arXiv 2306.12509, sections 3.2 and 4; docs/design.md,
// "Training several layers"): from arrays of scores to the weights of posterior samples and to what each
// candidate is worth on each example. Natural logarithms, nats. Pure: no requests, ranks or randomness. Rank 0.
//
// A number that a failed request did not give is absent, never a made-up one, and nothing here turns an absent
// number into a choice: an absent sample has no weight, an absent example does not count.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dln/train/select.hpp"

namespace dln {

/// Numbers by example (row) and posterior sample (column), any of which may be absent.
class ScoreTable {
  public:
    ScoreTable() = default;
    ScoreTable(std::size_t rows, std::size_t columns);
    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
    [[nodiscard]] std::optional<double> at(std::size_t row, std::size_t column) const;
    /// Pre: `value` is finite.
    void set(std::size_t row, std::size_t column, double value);
    friend bool operator==(const ScoreTable&, const ScoreTable&) = default;

  private:
    std::size_t rows_ = 0;
    std::size_t columns_ = 0;
    std::vector<std::optional<double>> cells_;
};

/// What the weights of posterior samples are made of; all tables are [example][sample].
struct WeightTerms {
    ScoreTable drawn;           ///< any number where the sample is there: not failed, not empty
    ScoreTable log_likelihood;  ///< log p(y | r(h), last layer's prompt)
    /// log p(h_l | h_(l-1), layer l's prompt), a table a hidden layer; none: the prior is off.
    std::vector<ScoreTable> log_prior;
    /// log p(y | h without the residual); absent: the mutual-information term is off.
    std::optional<ScoreTable> log_marginal;
    /// log q(h_l), a table a hidden layer; none: the term is off.
    std::vector<ScoreTable> log_q;
};

/// a_ik = log likelihood + sum over l of log prior - log marginal - sum over l of log q; absent where one of
/// them is.
[[nodiscard]] ScoreTable weight_exponents(const WeightTerms& terms);

struct WeightRule {
    double temperature = 1.0;  ///< from kUniformTemperature on, weights are equal
    bool argmax = false;       ///< the best sample of each example has weight 1, the others 0
};
inline constexpr double kUniformTemperature = 100.0;

/// True when the weights are known without any score: one sample, or equal weights.
[[nodiscard]] bool needs_no_terms(const WeightRule& rule, std::size_t samples);

struct Weights {
    std::size_t samples = 0;
    std::vector<double> values;  ///< [example * samples + sample]; 0 where absent
    std::vector<std::optional<std::size_t>>
        best;  ///< by example, the first of the heaviest; none: no sample
    /// False when no example has a sample.
    [[nodiscard]] bool any() const;
    [[nodiscard]] double at(std::size_t example, std::size_t sample) const {
        return values[example * samples + sample];
    }
};

/// w_ik = softmax over k of a_ik / temperature, over the samples that are there; the maximum is subtracted
/// first, so that nothing overflows. Where needs_no_terms, `terms.drawn` alone decides.
[[nodiscard]] Weights posterior_weights(const WeightTerms& terms, const WeightRule& rule);

/// What a candidate is worth on each example, absent where it failed.
using ExampleValues = std::vector<std::optional<double>>;

/// sum over j of w_ij s_ij; samples of weight 0 need no score.
[[nodiscard]] ExampleValues weighted_scores(const Weights& weights, const ScoreTable& scores);

/// log(exp(s_ij) / sum over j' of exp(s_ij') + 1e-12): noise-contrastive scores, each sample against the others
/// of its example. Absent scores are left out of the sum.
[[nodiscard]] ScoreTable contrasted(const ScoreTable& scores);

/// KL(p || q) of two distributions over classes, given as normalised log-probabilities of equal size.
[[nodiscard]] double kl_divergence(std::span<const double> log_p, std::span<const double> log_q);

/// values_i - factor * amounts_i; an absent amount makes the value absent. A factor of 0 changes nothing.
void subtract(ExampleValues& values, double factor, const ExampleValues& amounts);

/// The factor of the log-p penalty at `step` of `steps`: `factor`, or falling linearly to 0 at the end.
[[nodiscard]] double penalty_factor(double factor,
                                    bool decays,
                                    std::int64_t step,
                                    std::int64_t steps);

/// S(k): the values of the examples in `ranked_on` as a row of select_best's table. With `weights`, one an example,
/// the mean is weighted by these.
[[nodiscard]] CandidateScore score_of(std::size_t candidate,
                                      const ExampleValues& values,
                                      std::span<const std::size_t> ranked_on,
                                      std::span<const double> weights = {});

}  // namespace dln
