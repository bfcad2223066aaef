// When a budget is spent, and what is said then.

#include "dln/engine/budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Job job_with(const BudgetSpec& budget, double price_input = 0.0, double price_output = 0.0) {
    Job job;
    job.budget = budget;
    job.backend.price_input = price_input;
    job.backend.price_output = price_output;
    return job;
}

TEST(Budget, WithoutLimitsNothingIsEverSpent) {
    const Budget budget(job_with({}));
    EXPECT_FALSE(budget.is_limited());
    EXPECT_FALSE(budget.is_spent_by({1 << 30, 1 << 30, 1 << 30, 1 << 30, 1e9}));
    EXPECT_EQ(budget.why_spent({1 << 30, 1 << 30, 1 << 30, 1 << 30, 1e9}), "");
}

TEST(Budget, IsSpentWhenALimitIsReachedAndNotBefore) {
    const auto spends = [](const Job& job, const Spending& less, const Spending& all) {
        const Budget budget(job);
        EXPECT_TRUE(budget.is_limited());
        EXPECT_FALSE(budget.is_spent_by(less));
        EXPECT_EQ(budget.why_spent(less), "");
        EXPECT_TRUE(budget.is_spent_by(all));
        EXPECT_NE(budget.why_spent(all), "");
    };
    spends(job_with({.requests = 10}), {.requests = 9}, {.requests = 10});
    spends(job_with({.tokens = 10}), {.prompt_tokens = 5, .generated_tokens = 4},
           {.prompt_tokens = 5, .generated_tokens = 4, .discarded_tokens = 1});
    spends(job_with({.money = 1.5}, 2.0, 4.0),
           {.prompt_tokens = 250'000, .generated_tokens = 249'999},
           {.prompt_tokens = 250'000, .generated_tokens = 249'999, .discarded_tokens = 1});
    spends(job_with({.hours = 0.5}), {.seconds = 1799.0}, {.seconds = 1800.0});
}

TEST(Budget, OtherUsesDoNotCount) {
    EXPECT_FALSE(Budget(job_with({.requests = 10})).is_spent_by({9, 1000, 1000, 1000, 1e6}));
    EXPECT_FALSE(Budget(job_with({.tokens = 10})).is_spent_by({1000, 9, 0, 0, 1e6}));
    EXPECT_FALSE(
        Budget(job_with({.money = 1.0}, 1.0)).is_spent_by({1000, 10, 1 << 30, 1 << 30, 1e6}));
    EXPECT_FALSE(Budget(job_with({.hours = 1.0})).is_spent_by({1000, 1000, 1000, 1000, 3599.0}));
}

TEST(Budget, MoneyIsThatOfAMillionTokens) {
    const Job job = job_with({}, 0.15, 0.6);
    EXPECT_DOUBLE_EQ(money_of(cost_of(Spending{.prompt_tokens = 2'000'000,
                                               .generated_tokens = 400'000,
                                               .discarded_tokens = 100'000}),
                              job.backend),
                     0.6);
}

TEST(Budget, EachModelHasItsOwnPrices) {
    Job job = job_with({.money = 3.0}, 1.0, 2.0);
    job.backward_backend = BackendSpec{.price_input = 10.0, .price_output = 20.0};
    Spending spent{.prompt_tokens = 1'000'000,
                   .generated_tokens = 100'000,
                   .backward = {.requests = 1, .input_tokens = 100'000, .output_tokens = 50'000}};
    // 0.9 and 0.1 for the forward model, 1 and 1 for the other.
    EXPECT_DOUBLE_EQ(money_of(spent, job.backend, *job.backward_backend), 3.0);
    EXPECT_TRUE(Budget(job).is_spent_by(spent));
    spent.backward.output_tokens = 0;
    EXPECT_FALSE(Budget(job).is_spent_by(spent));
}

TEST(Budget, MessageSaysWhichLimitHowMuchAndWhatToDo) {
    EXPECT_THAT(Budget(job_with({.requests = 100, .tokens = 1000}))
                    .why_spent({.requests = 7, .prompt_tokens = 900, .generated_tokens = 134}),
                AllOf(HasSubstr("/budget/tokens is 1000"),
                      HasSubstr("1034 tokens (900 of prompts, 134 generated)"),
                      HasSubstr("--set /budget/tokens=2068")));
    EXPECT_THAT(Budget(job_with({.money = 0.25}, 0.5)).why_spent({.prompt_tokens = 600'000}),
                AllOf(HasSubstr("/budget/money is 0.25"), HasSubstr("used 0.3 "),
                      HasSubstr("--set /budget/money=0.6")));
    EXPECT_THAT(Budget(job_with({.hours = 1.0})).why_spent({.seconds = 7200.0}),
                AllOf(HasSubstr("/budget/hours is 1,"), HasSubstr("used 2 hours"),
                      HasSubstr("--set /budget/hours=4")));
}

TEST(Budget, LargeNumbersAreWrittenInFull) {
    EXPECT_THAT(
        Budget(job_with({.tokens = 12'345'678'901})).why_spent({.prompt_tokens = 12'345'678'901}),
        HasSubstr("--set /budget/tokens=24691357802"));
}

TEST(Spending, IsWhatServersCount) {
    const Usage usage{.calls = 1,
                      .standalone_tokens = 2,
                      .evaluated_tokens = 3,
                      .generated_tokens = 4,
                      .recalled = 5,
                      .requests = 6,
                      .prompt_tokens = 7,
                      .discarded_tokens = 8};
    EXPECT_EQ(spending_of(usage, {}, 1.5), (Spending{6, 7, 4, 8, 1.5}));
    EXPECT_EQ(spending_of(usage, {}, 1.5).tokens(), 7 + 4 + 8);
    EXPECT_EQ(spending_of(usage, usage, 1.5).backward, (RequestCost{6, 7, 4 + 8}));
}

TEST(Spending, DiscardedUsageIsBilledAllTheSame) {
    const Usage usage{.calls = 1,
                      .standalone_tokens = 2,
                      .generated_tokens = 4,
                      .requests = 6,
                      .prompt_tokens = 7,
                      .discarded_tokens = 8};
    EXPECT_EQ(discarded(usage), (Usage{.requests = 6, .prompt_tokens = 7, .discarded_tokens = 12}));
    const RequestCost cost = cost_of(discarded(usage));
    EXPECT_DOUBLE_EQ(cost.input_tokens, 7.0);
    EXPECT_DOUBLE_EQ(cost.output_tokens, 12.0);
}

}  // namespace
}  // namespace dln
