#include "dln/network/calibration.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/network/scores.hpp"

namespace dln {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ClassLogProbs logs(std::vector<double> probabilities) {
    for (double& p : probabilities) p = std::log(p);
    return probabilities;
}

auto are_logs(double a, double b) {
    return ElementsAre(DoubleNear(std::log(a), 1e-12), DoubleNear(std::log(b), 1e-12));
}

TEST(ClassLogPrior, IsTheLogarithmOfTheMeanProbability) {
    const std::vector<ClassLogProbs> rows{logs({0.9, 0.1}), logs({0.5, 0.5}), logs({0.7, 0.3})};
    EXPECT_THAT(class_log_prior(rows), are_logs(0.7, 0.3));
}

TEST(ClassLogPrior, LeavesOutWhatWasNotMeasured) {
    const std::vector<ClassLogProbs> rows{{}, logs({0.9, 0.1}), {}, logs({0.5, 0.5})};
    EXPECT_THAT(class_log_prior(rows), are_logs(0.7, 0.3));
    EXPECT_THAT(class_log_prior(std::vector<ClassLogProbs>{{}, {}}), IsEmpty());
    EXPECT_THAT(class_log_prior({}), IsEmpty());
}

TEST(ClassLogPrior, OfAnImpossibleClassStaysFinite) {
    const std::vector<ClassLogProbs> rows{{0.0, -2000.0}, {0.0, -2000.0}};
    EXPECT_THAT(class_log_prior(rows), ElementsAre(0.0, -2000.0));
}

TEST(Calibrated, TakesThePriorOffAndNormalises) {
    // 0.6 / 0.75 against 0.4 / 0.25
    EXPECT_THAT(calibrated(logs({0.6, 0.4}), logs({0.75, 0.25})), are_logs(1.0 / 3, 2.0 / 3));
}

TEST(Calibrated, MayChangeTheAnswer) {
    const ClassLogProbs raw = logs({0.6, 0.4});
    EXPECT_EQ(predicted_class(raw), 0U);
    EXPECT_EQ(predicted_class(calibrated(raw, logs({0.75, 0.25}))), 1U);
}

TEST(Calibrated, ByAnEvenPriorIsTheSame) {
    EXPECT_THAT(calibrated(logs({0.6, 0.4}), logs({0.5, 0.5})), are_logs(0.6, 0.4));
}

TEST(Calibrated, SaysAnEvenChanceWhereTheInputTellsNothing) {
    const ClassLogProbs constant{0.0, -2000.0};
    EXPECT_THAT(calibrated(constant, class_log_prior(std::vector{constant, constant})),
                are_logs(0.5, 0.5));
}

TEST(Calibrated, WithAPriorOfOtherClassesIsABug) {
    EXPECT_THROW((void)calibrated(logs({0.6, 0.4}), {}), InternalError);
}

}  // namespace
}  // namespace dln
