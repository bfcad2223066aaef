// Which requests go wrong: decided by seed and request, so that two runs agree and a retry comes through.

#include "faults.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "fault_effects.hpp"

namespace fake_llm {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

FaultPlan plan(const std::vector<std::string>& rules, std::uint64_t seed = 1) {
    std::vector<FaultRule> parsed;
    for (const std::string& rule : rules) {
        parsed.push_back(parse_fault(rule));
    }
    return {std::move(parsed), seed};
}

int faults_of(const FaultPlan& faults, std::uint64_t seen, FaultKind kind) {
    int count = 0;
    for (std::uint64_t request = 0; request < 10'000; ++request) {
        const auto fault = faults.choose(request, seen, request + 1);
        count += fault && fault->kind == kind ? 1 : 0;
    }
    return count;
}

TEST(FakeFaults, ComeAtTheirRates) {
    const FaultPlan faults = plan({"429:0.1", "stall:0.3"});
    EXPECT_NEAR(faults_of(faults, 0, FaultKind::rate_limited), 1000, 150);
    EXPECT_NEAR(faults_of(faults, 0, FaultKind::stall), 3000, 250);
    EXPECT_EQ(faults_of(faults, 0, FaultKind::reset), 0);
}

TEST(FakeFaults, AgreeBetweenTwoRunsAndDifferBySeed) {
    int different = 0;
    for (std::uint64_t request = 0; request < 1000; ++request) {
        const bool first = plan({"500:0.5"}, 1).choose(request, 0, 1).has_value();
        EXPECT_EQ(first, plan({"500:0.5"}, 1).choose(request, 0, 77).has_value());
        different += first != plan({"500:0.5"}, 2).choose(request, 0, 1).has_value() ? 1 : 0;
    }
    EXPECT_GT(different, 300);
}

TEST(FakeFaults, AreDrawnAnewForARetry) {
    const FaultPlan faults = plan({"500:0.5"});
    for (std::uint64_t request = 0; request < 100; ++request) {
        std::uint64_t seen = 0;
        while (faults.choose(request, seen, 1)) {
            ASSERT_LT(++seen, 40U);
        }
    }
}

TEST(FakeFaults, HitExactlyTheNthRequest) {
    const FaultPlan faults = plan({"reset@3"});
    EXPECT_FALSE(faults.choose(9, 0, 2));
    EXPECT_EQ(faults.choose(9, 0, 3)->kind, FaultKind::reset);
    EXPECT_FALSE(faults.choose(9, 1, 4));
}

TEST(FakeFaults, HitAllRequestsFromTheNthOn) {
    const FaultPlan faults = plan({"reset@3+:middle"});
    EXPECT_FALSE(faults.choose(9, 0, 2));
    EXPECT_EQ(faults.choose(9, 0, 3)->parameter, "middle");
    EXPECT_TRUE(faults.choose(9, 1, 4));
}

TEST(FakeFaults, HitRequestsThatHaveAText) {
    const FaultPlan faults = plan({"500~word 3\""});
    EXPECT_FALSE(faults.choose(9, 0, 1, R"({"prompt":"word 31"})"));
    EXPECT_TRUE(faults.choose(9, 7, 8, R"({"prompt":"word 3"})"));
}

TEST(FakeFaults, KeepTheirParameter) {
    EXPECT_EQ(parse_fault("429:0.5:date").fault.parameter, "date");
    EXPECT_EQ(parse_fault("redirect@2:127.0.0.1:99").fault.parameter, "127.0.0.1:99");
}

TEST(FakeFaults, RefuseWhatTheyDoNotKnow) {
    const auto refused = [](const std::string& rule, const std::string& part) {
        const auto use = [&] { check_parameter(parse_fault(rule).fault); };
        EXPECT_THAT(use, ThrowsMessage<dln::UsageError>(HasSubstr(part))) << rule;
    };
    refused("429", "KIND:RATE");
    refused("430:0.5", "429-quota");
    refused("429:1.5", "between 0 and 1");
    refused("429:x", "a rate");
    refused("429@0", "from 1");
    refused("429:0.5:soon", "a number");
    refused("redirect:0.5", "host:port");
    refused("reset:0.5:late", "before or middle");
    refused("500:0.5:x", "none");
    EXPECT_THAT(
        [] {
            plan({"429:0.6", "500:0.6"});
        },
        ThrowsMessage<dln::UsageError>(HasSubstr("at most 1")));
}

TEST(FakeFaults, AllHaveNamesThatCanBeRead) {
    for (const std::string_view name : fault_names()) {
        const std::string rule = std::string(name) + ":0.25";
        EXPECT_EQ(fault_name(parse_fault(rule).fault.kind), name);
    }
}

}  // namespace
}  // namespace fake_llm
