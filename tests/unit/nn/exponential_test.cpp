#include "nn/exponential.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace dln::nn {
namespace {

TEST(Exponential, IsThatOfTheLibraryWithinRounding) {
    double worst = 0.0;
    for (float x = -87.0F; x <= 88.0F; x += 0.00137F) {
        const double right = std::exp(static_cast<double>(x));
        worst = std::max(worst, std::abs(static_cast<double>(exponential(x)) / right - 1.0));
    }
    EXPECT_LT(worst, 2e-7);
    EXPECT_EQ(exponential(0.0F), 1.0F);
}

TEST(Exponential, StaysAtItsBoundsAndKeepsNaN) {
    EXPECT_EQ(exponential(-1e30F), exponential(-87.0F));
    EXPECT_EQ(exponential(std::numeric_limits<float>::infinity()), exponential(88.0F));
    EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace dln::nn
