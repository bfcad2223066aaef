// Every formula against numbers worked out by hand.

#include "dln/train/inference.hpp"

#include <cmath>
#include <initializer_list>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Optional;

constexpr std::optional<double> kNone = std::nullopt;

ScoreTable table(std::initializer_list<std::initializer_list<std::optional<double>>> rows) {
    ScoreTable result(rows.size(), rows.begin()->size());
    std::size_t i = 0;
    for (const auto& row : rows) {
        std::size_t k = 0;
        for (const auto& cell : row) {
            if (cell) result.set(i, k, *cell);
            ++k;
        }
        ++i;
    }
    return result;
}

/// One example; all samples are there.
WeightTerms terms_of(std::initializer_list<std::optional<double>> log_likelihood) {
    WeightTerms terms{.drawn = ScoreTable(1, log_likelihood.size()),
                      .log_likelihood = table({log_likelihood})};
    for (std::size_t k = 0; k < log_likelihood.size(); ++k) terms.drawn.set(0, k, 0.0);
    return terms;
}

auto near(double value) { return DoubleNear(value, 1e-12); }

TEST(WeightExponents, AddThePriorOfEveryLayerAndTakeTheOtherTermsAway) {
    WeightTerms terms = terms_of({-1.0, -2.0});
    EXPECT_EQ(weight_exponents(terms), table({{-1.0, -2.0}}));
    terms.log_prior = {table({{-0.5, -0.25}}), table({{-4.0, -8.0}})};
    EXPECT_EQ(weight_exponents(terms), table({{-5.5, -10.25}}));
    terms.log_marginal = table({{-3.0, -1.0}});
    EXPECT_EQ(weight_exponents(terms), table({{-2.5, -9.25}}));
    terms.log_q = {table({{-1.0, -2.0}}), table({{-0.5, -0.5}})};
    EXPECT_EQ(weight_exponents(terms), table({{-1.0, -6.75}}));
}

TEST(WeightExponents, AreAbsentWhereATermOrTheSampleIs) {
    WeightTerms terms = terms_of({-1.0, kNone, -3.0, -4.0});
    terms.log_prior = {table({{-1.0, -1.0, kNone, -1.0}})};
    terms.drawn = table({{0.0, 0.0, 0.0, kNone}});
    EXPECT_EQ(weight_exponents(terms), table({{-2.0, kNone, kNone, kNone}}));
}

TEST(PosteriorWeights, AreTheSoftmaxOverSamples) {
    // e^0 : e^-1 : e^-2
    const Weights weights = posterior_weights(terms_of({-1.0, -2.0, -3.0}), {});
    EXPECT_THAT(weights.values, ElementsAre(near(0.66524095577482178), near(0.24472847105479764),
                                            near(0.09003057317038046)));
    EXPECT_THAT(weights.best, ElementsAre(Optional(0U)));
}

TEST(PosteriorWeights, TemperatureFlattensThem) {
    // e^0 : e^(-1/2)
    EXPECT_THAT(posterior_weights(terms_of({-1.0, -2.0}), {.temperature = 2.0}).values,
                ElementsAre(near(0.62245933120185459), near(0.37754066879814541)));
    EXPECT_THAT(posterior_weights(terms_of({-1.0, -90.0}), {.temperature = 100.0}).values,
                ElementsAre(0.5, 0.5));
}

TEST(PosteriorWeights, DoNotOverflowWhereLogProbabilitiesAreFarBelowZero) {
    EXPECT_THAT(posterior_weights(terms_of({-80'000.0, -80'001.0}), {}).values,
                ElementsAre(near(0.73105857863000490), near(0.26894142136999512)));
}

TEST(PosteriorWeights, ArgmaxKeepsTheFirstOfTheBest) {
    const Weights weights = posterior_weights(terms_of({-2.0, -1.0, -1.0}), {.argmax = true});
    EXPECT_THAT(weights.values, ElementsAre(0.0, 1.0, 0.0));
    EXPECT_THAT(weights.best, ElementsAre(Optional(1U)));
    EXPECT_THAT(
        posterior_weights(terms_of({-2.0, -1.0}), {.temperature = 100.0, .argmax = true}).values,
        ElementsAre(0.0, 1.0));
}

TEST(PosteriorWeights, ASampleWithoutAScoreHasNoneAndTheOthersShareItsPart) {
    EXPECT_THAT(posterior_weights(terms_of({kNone, -2.0, -2.0}), {}).values,
                ElementsAre(0.0, 0.5, 0.5));
}

TEST(PosteriorWeights, AnExampleWithoutAnySampleHasNoBest) {
    const Weights weights = posterior_weights(terms_of({kNone, kNone}), {});
    EXPECT_THAT(weights.values, ElementsAre(0.0, 0.0));
    EXPECT_THAT(weights.best, ElementsAre(kNone));
}

TEST(PosteriorWeights, OneSampleOrEqualWeightsNeedNoScores) {
    WeightTerms terms = terms_of({kNone});
    EXPECT_TRUE(needs_no_terms({}, 1));
    EXPECT_THAT(posterior_weights(terms, {}).values, ElementsAre(1.0));
    terms.drawn = ScoreTable(1, 1);
    EXPECT_THAT(posterior_weights(terms, {}).best, ElementsAre(kNone));

    EXPECT_FALSE(needs_no_terms({}, 2));
    EXPECT_FALSE(needs_no_terms({.temperature = 100.0, .argmax = true}, 2));
    EXPECT_TRUE(needs_no_terms({.temperature = 100.0}, 2));
    terms = terms_of({kNone, kNone, kNone});
    terms.drawn = table({{0.0, kNone, 0.0}});
    EXPECT_THAT(posterior_weights(terms, {.temperature = 100.0}).values,
                ElementsAre(0.5, 0.0, 0.5));
}

TEST(WeightedScores, SumOverTheSamplesOfAnExample) {
    const Weights weights{.samples = 2, .values = {0.25, 0.75, 1.0, 0.0}, .best = {1U, 0U}};
    EXPECT_THAT(weighted_scores(weights, table({{-1.0, -2.0}, {-3.0, kNone}})),
                ElementsAre(Optional(-1.75), Optional(-3.0)));
}

TEST(WeightedScores, AreAbsentWhereAWeightedSampleHasNoScore) {
    const Weights weights{.samples = 2, .values = {0.25, 0.75, 0.0, 0.0}, .best = {1U, kNone}};
    EXPECT_THAT(weighted_scores(weights, table({{kNone, -2.0}, {-3.0, -1.0}})),
                ElementsAre(kNone, kNone));
}

TEST(Contrasted, ComparesASampleWithTheOthersOfItsExample) {
    const ScoreTable result = contrasted(table({{-1.0, -2.0, kNone}, {kNone, kNone, -7.0}}));
    EXPECT_THAT(result.at(0, 0), Optional(near(std::log(0.73105857863000490 + 1e-12))));
    EXPECT_THAT(result.at(0, 1), Optional(near(std::log(0.26894142136999512 + 1e-12))));
    EXPECT_EQ(result.at(0, 2), std::nullopt);
    EXPECT_THAT(result.at(1, 2), Optional(near(1e-12)));
    EXPECT_THAT(contrasted(table({{0.0, -5'000.0}})).at(0, 1), Optional(near(std::log(1e-12))));
}

TEST(KlDivergence, IsTheMeanLogRatioUnderTheFirst) {
    const std::vector<double> half{std::log(0.5), std::log(0.5)};
    const std::vector<double> skewed{std::log(0.9), std::log(0.1)};
    EXPECT_THAT(kl_divergence(half, skewed), near(0.5108256237659907));
    EXPECT_THAT(kl_divergence(skewed, half), near(0.3680642071684971));
    EXPECT_THAT(kl_divergence(half, half), near(0.0));
}

TEST(KlDivergence, AClassWithoutProbabilityAddsNothing) {
    EXPECT_THAT(
        kl_divergence(std::vector<double>{0.0, -2'000.0}, std::vector<double>{0.0, -9'000.0}),
        near(0.0));
}

TEST(Subtract, TakesAFactorOfEachAmount) {
    ExampleValues values{-1.0, -2.0, kNone, -4.0};
    subtract(values, 0.5, {0.25, kNone, 1.0, 0.0});
    EXPECT_THAT(values, ElementsAre(Optional(-1.125), kNone, kNone, Optional(-4.0)));
    values = {-1.0, -2.0};
    subtract(values, 0.0, {kNone, kNone});
    EXPECT_THAT(values, ElementsAre(Optional(-1.0), Optional(-2.0)));
}

TEST(PenaltyFactor, FallsLinearlyToZeroAtTheEndWhenAsked) {
    EXPECT_EQ(penalty_factor(2.0, false, 7, 10), 2.0);
    EXPECT_EQ(penalty_factor(2.0, true, 0, 10), 2.0);
    EXPECT_EQ(penalty_factor(2.0, true, 5, 10), 1.0);
    EXPECT_EQ(penalty_factor(2.0, true, 10, 10), 0.0);
    EXPECT_EQ(penalty_factor(2.0, true, 12, 10), 0.0);
}

TEST(ScoreOf, IsTheMeanOverTheRankedExamplesThatHaveAValue) {
    const std::vector<std::size_t> ranked_on{0, 2, 3};
    const CandidateScore score = score_of(4, {-1.0, -100.0, kNone, -2.0}, ranked_on);
    EXPECT_EQ(score.candidate, 4U);
    EXPECT_EQ(score.scored, 2U);
    EXPECT_EQ(score.failed, 1U);
    EXPECT_THAT(score.mean(), near(-1.5));
}

TEST(ScoreTable, TakesNoNumberThatIsNotFinite) {
    ScoreTable one(1, 1);
    EXPECT_THROW(one.set(0, 0, std::nan("")), InternalError);
    EXPECT_THROW(one.set(0, 0, -INFINITY), InternalError);
    EXPECT_THROW(one.set(0, 1, 0.0), InternalError);
}

}  // namespace
}  // namespace dln
