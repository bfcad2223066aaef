#include "json_text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace fake_llm {
namespace {

std::string number(double value) {
    std::string text;
    append_number(text, value);
    return text;
}

TEST(FakeJsonText, GivesNumbersThatReadBackAsTheSameFraction) {
    for (const double value : {-9999.0, 0.0, -0.1, -1.2345678901234567, -1e-7, -3e22, 1.0 / 3.0}) {
        const auto read = nlohmann::json::parse(number(value));
        EXPECT_TRUE(read.is_number_float()) << number(value);
        EXPECT_EQ(read.get<double>(), value);
    }
    EXPECT_EQ(number(-9999.0), "-9999.0");
}

TEST(FakeJsonText, QuotesTextAndReplacesBytesThatAreNoText) {
    EXPECT_EQ(json_quoted("a\"\n\x01"), R"("a\"\n\u0001")");
    EXPECT_EQ(json_quoted("\xc3"), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace fake_llm
