#include "dln/network/scores.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

const std::vector<double> kFourTokens{-8.0, -4.0, -2.0, -1.0};

ScoringSpec spec_of(LengthNormalise normalise, double burn_in) {
    ScoringSpec spec;
    spec.length_normalise = normalise;
    spec.burn_in = burn_in;
    return spec;
}

double mean_of_four(double burn_in) {
    return target_score(kFourTokens, 9, spec_of(LengthNormalise::mean, burn_in));
}

TEST(TargetScore, BurnInDropsTheFloorOfItsShareFromTheFront) {
    EXPECT_DOUBLE_EQ(mean_of_four(0.0), -15.0 / 4.0);
    EXPECT_DOUBLE_EQ(mean_of_four(0.05), -15.0 / 4.0);
    EXPECT_DOUBLE_EQ(mean_of_four(0.25), -7.0 / 3.0);
    EXPECT_DOUBLE_EQ(mean_of_four(0.49), -7.0 / 3.0);
    EXPECT_DOUBLE_EQ(mean_of_four(0.5), -3.0 / 2.0);
    EXPECT_DOUBLE_EQ(mean_of_four(0.99), -1.0);
}

TEST(TargetScore, OneTokenIsNeverDropped) {
    EXPECT_DOUBLE_EQ(target_score(std::vector{-2.5}, 3, spec_of(LengthNormalise::mean, 0.99)),
                     -2.5);
}

TEST(TargetScore, SumAndBytesAreOfTheTokensThatAreLeft) {
    EXPECT_DOUBLE_EQ(target_score(kFourTokens, 14, spec_of(LengthNormalise::sum, 0.25)), -7.0);
    EXPECT_DOUBLE_EQ(target_score(kFourTokens, 14, spec_of(LengthNormalise::bytes, 0.25)), -0.5);
}

TEST(TargetScore, NoTokenIsABugAndNoScore) {
    EXPECT_THROW((void)target_score({}, 3, ScoringSpec{}), InternalError);
}

TEST(ClassLogProb, SumAddsTheProbabilitiesOfTheForms) {
    const std::vector<double> forms{std::log(0.2), std::log(0.3)};
    EXPECT_DOUBLE_EQ(class_log_prob(forms, VerbalizerCombine::sum), std::log(0.5));
    EXPECT_DOUBLE_EQ(class_log_prob(forms, VerbalizerCombine::max), std::log(0.3));
}

TEST(ClassLogProb, SumOfVeryImprobableFormsStaysFinite) {
    const std::vector<double> forms{-1000.0, -1000.0};
    EXPECT_DOUBLE_EQ(class_log_prob(forms, VerbalizerCombine::sum), -1000.0 + std::log(2.0));
}

TEST(NormaliseClasses, GivesLogProbabilitiesThatSumToOne) {
    EXPECT_THAT(normalise_classes(std::vector{std::log(0.1), std::log(0.3)}),
                ElementsAre(DoubleEq(std::log(0.25)), DoubleEq(std::log(0.75))));
}

TEST(NormaliseClasses, SurvivesClassesThatAreAllVeryImprobable) {
    const double total = std::log1p(std::exp(-1.0));
    const std::vector<double> normal = normalise_classes(std::vector{-1000.0, -1001.0});
    EXPECT_NEAR(normal[0], -total, 1e-12);
    EXPECT_NEAR(normal[1], -1.0 - total, 1e-12);
}

TEST(NormaliseClasses, FarClassKeepsItsDistance) {
    const std::vector<double> normal = normalise_classes(std::vector{-2.0, -1002.0});
    EXPECT_DOUBLE_EQ(normal[0], 0.0);
    EXPECT_DOUBLE_EQ(normal[1], -1000.0);
}

TEST(PredictedClass, IsTheMostProbableAndTheFirstAmongEquals) {
    EXPECT_EQ(predicted_class(std::vector{-3.0, -1.0, -2.0}), 1U);
    EXPECT_EQ(predicted_class(std::vector{-3.0, -1.0, -1.0}), 1U);
    EXPECT_EQ(predicted_class(std::vector{-1.0, -1.0}), 0U);
}

}  // namespace
}  // namespace dln
