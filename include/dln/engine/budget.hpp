#pragma once
// What a run may use in all, and whether it has: requests, tokens, money, hours (/budget of a job). Pure;
// rank 0 only, which sees the usage of every unit that is finished, on whatever rank.

#include <cstdint>
#include <optional>
#include <string>

#include "dln/error.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/llm/request_cost.hpp"

namespace dln {

/// What a run has used so far, over all its processes and ranks. Replies that its journal held count as
/// those that they were paid for as.
struct Spending {
    std::int64_t requests = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t generated_tokens = 0;
    std::int64_t discarded_tokens = 0;  ///< generated beside scores, or in replies of no use
    double seconds = 0.0;               ///< of wall time
    RequestCost
        backward;  ///< the backward model's part of all that, where it has a backend of its own
    [[nodiscard]] std::int64_t output_tokens() const { return generated_tokens + discarded_tokens; }
    [[nodiscard]] std::int64_t tokens() const { return prompt_tokens + output_tokens(); }
    Spending& operator+=(const Spending& other);
    friend bool operator==(const Spending&, const Spending&) = default;
};

/// `backward_usage`: the backward model's part of `usage`.
[[nodiscard]] Spending spending_of(const Usage& usage, const Usage& backward_usage, double seconds);

/// A run has used what its job allows. What it has is saved; with a larger budget it goes on.
class BudgetError : public Error {
  public:
    explicit BudgetError(const std::string& message) : Error(ExitCode::budget, message) {}
};

/// What is billed: prompts as input, all that was generated as output.
[[nodiscard]] RequestCost cost_of(const Spending& spent);
[[nodiscard]] RequestCost cost_of(const Usage& usage);

/// In the currency of the backend's prices: of budgets, plans and summaries alike.
[[nodiscard]] double money_of(const RequestCost& cost, const BackendSpec& prices);
/// The same of both models, each at its own prices.
[[nodiscard]] double money_of(const Spending& spent,
                              const BackendSpec& forward,
                              const BackendSpec& backward);
/// `cost` with its money at these prices.
[[nodiscard]] RequestCost priced(RequestCost cost, const BackendSpec& prices);

class Budget {
  public:
    /// Takes /budget and the backends' prices.
    explicit Budget(const Job& job);
    /// False when everything is without limit.
    [[nodiscard]] bool is_limited() const noexcept;
    /// True when one of the limits is reached: nothing more may be asked for.
    [[nodiscard]] bool is_spent_by(const Spending& spent) const;
    /// Which limit is reached, how much has been used, and how to go on; empty when none is.
    [[nodiscard]] std::string why_spent(const Spending& spent) const;

  private:
    BudgetSpec limits_;
    BackendSpec backend_;
    BackendSpec backward_;
};

}  // namespace dln
