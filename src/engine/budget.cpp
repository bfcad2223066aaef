#include "dln/engine/budget.hpp"

#include <fmt/format.h>

namespace dln {
namespace {

constexpr double kTokensOfAPrice = 1e6;
constexpr double kSecondsAnHour = 3600.0;

template <class Amount>
bool is_reached(Amount limit, Amount used) {
    return limit > 0 && used >= limit;
}

// Of money and hours: as many digits as tell, none that are only noise of the sum.
std::string number(double value) { return fmt::format("{:.6g}", value); }

}  // namespace

Spending& Spending::operator+=(const Spending& other) {
    requests += other.requests;
    prompt_tokens += other.prompt_tokens;
    generated_tokens += other.generated_tokens;
    discarded_tokens += other.discarded_tokens;
    seconds += other.seconds;
    backward += other.backward;
    return *this;
}

Spending spending_of(const Usage& usage, const Usage& backward_usage, double seconds) {
    return {.requests = usage.requests,
            .prompt_tokens = usage.prompt_tokens,
            .generated_tokens = usage.generated_tokens,
            .discarded_tokens = usage.discarded_tokens,
            .seconds = seconds,
            .backward = cost_of(backward_usage)};
}

RequestCost cost_of(const Spending& spent) {
    return {.requests = static_cast<double>(spent.requests),
            .input_tokens = static_cast<double>(spent.prompt_tokens),
            .output_tokens = static_cast<double>(spent.output_tokens())};
}

RequestCost cost_of(const Usage& usage) {
    return {.requests = static_cast<double>(usage.requests),
            .input_tokens = static_cast<double>(usage.prompt_tokens),
            .output_tokens = static_cast<double>(usage.generated_tokens + usage.discarded_tokens)};
}

double money_of(const RequestCost& cost, const BackendSpec& prices) {
    return (cost.input_tokens * prices.price_input + cost.output_tokens * prices.price_output) /
           kTokensOfAPrice;
}

RequestCost priced(RequestCost cost, const BackendSpec& prices) {
    cost.money = money_of(cost, prices);
    return cost;
}

double money_of(const Spending& spent, const BackendSpec& forward, const BackendSpec& backward) {
    return money_of(cost_of(spent) + spent.backward * -1.0, forward) +
           money_of(spent.backward, backward);
}

Budget::Budget(const Job& job)
    : limits_(job.budget), backend_(job.backend), backward_(backward_spec(job)) {}

bool Budget::is_limited() const noexcept {
    return limits_.requests > 0 || limits_.tokens > 0 || limits_.money > 0.0 || limits_.hours > 0.0;
}

bool Budget::is_spent_by(const Spending& spent) const {
    return is_reached(limits_.requests, spent.requests) ||
           is_reached(limits_.tokens, spent.tokens()) ||
           is_reached(limits_.money, money_of(spent, backend_, backward_)) ||
           is_reached(limits_.hours, spent.seconds / kSecondsAnHour);
}

std::string Budget::why_spent(const Spending& spent) const {
    const auto said = [](const char* name, auto limit, const auto& used, const auto& more) {
        return fmt::format(
            "the budget is spent: /budget/{0} is {1}, and the run has used {2}. With more, for "
            "example --set /budget/{0}={3}, the same command goes on.",
            name, limit, used, more);
    };
    const std::int64_t tokens = spent.tokens();
    const double money = money_of(spent, backend_, backward_);
    const double hours = spent.seconds / kSecondsAnHour;
    if (is_reached(limits_.requests, spent.requests)) {
        return said("requests", limits_.requests, fmt::format("{} requests", spent.requests),
                    2 * spent.requests);
    }
    if (is_reached(limits_.tokens, tokens)) {
        return said("tokens", limits_.tokens,
                    fmt::format("{} tokens ({} of prompts, {} generated)", tokens,
                                spent.prompt_tokens, spent.output_tokens()),
                    2 * tokens);
    }
    if (is_reached(limits_.money, money)) {
        return said("money", number(limits_.money),
                    fmt::format("{} (for {} tokens of prompts and {} generated)", number(money),
                                spent.prompt_tokens, spent.output_tokens()),
                    number(2 * money));
    }
    if (is_reached(limits_.hours, hours)) {
        return said("hours", number(limits_.hours), fmt::format("{} hours", number(hours)),
                    number(2 * hours));
    }
    return {};
}

}  // namespace dln
