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

Spending spending_of(const Usage& usage, double seconds) {
    return {.requests = usage.requests,
            .prompt_tokens = usage.prompt_tokens,
            .generated_tokens = usage.generated_tokens,
            .seconds = seconds};
}

double money_of(const Spending& spent, const BackendSpec& prices) {
    return (static_cast<double>(spent.prompt_tokens) * prices.price_input +
            static_cast<double>(spent.generated_tokens) * prices.price_output) /
           kTokensOfAPrice;
}

Budget::Budget(const Job& job) : limits_(job.budget), backend_(job.backend) {}

bool Budget::is_limited() const noexcept {
    return limits_.requests > 0 || limits_.tokens > 0 || limits_.money > 0.0 || limits_.hours > 0.0;
}

bool Budget::is_spent_by(const Spending& spent) const {
    return is_reached(limits_.requests, spent.requests) ||
           is_reached(limits_.tokens, spent.prompt_tokens + spent.generated_tokens) ||
           is_reached(limits_.money, money_of(spent, backend_)) ||
           is_reached(limits_.hours, spent.seconds / kSecondsAnHour);
}

std::string Budget::why_spent(const Spending& spent) const {
    const auto said = [](const char* name, auto limit, const auto& used, const auto& more) {
        return fmt::format(
            "the budget is spent: /budget/{0} is {1}, and the run has used {2}. With more, for "
            "example --set /budget/{0}={3}, the same command goes on.",
            name, limit, used, more);
    };
    const std::int64_t tokens = spent.prompt_tokens + spent.generated_tokens;
    const double money = money_of(spent, backend_);
    const double hours = spent.seconds / kSecondsAnHour;
    if (is_reached(limits_.requests, spent.requests)) {
        return said("requests", limits_.requests, fmt::format("{} requests", spent.requests),
                    2 * spent.requests);
    }
    if (is_reached(limits_.tokens, tokens)) {
        return said("tokens", limits_.tokens,
                    fmt::format("{} tokens ({} of prompts, {} generated)", tokens,
                                spent.prompt_tokens, spent.generated_tokens),
                    2 * tokens);
    }
    if (is_reached(limits_.money, money)) {
        return said("money", number(limits_.money),
                    fmt::format("{} (for {} tokens of prompts and {} generated)", number(money),
                                spent.prompt_tokens, spent.generated_tokens),
                    number(2 * money));
    }
    if (is_reached(limits_.hours, hours)) {
        return said("hours", number(limits_.hours), fmt::format("{} hours", number(hours)),
                    number(2 * hours));
    }
    return {};
}

}  // namespace dln
