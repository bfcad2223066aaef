#pragma once
// Which request goes wrong, and how. The choice is a pure function of seed, request and how often that
// request was seen: two runs agree, and a retry draws anew. What a fault does to a reply is in
// fault_effects.hpp.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fake_llm {

enum class FaultKind : std::uint8_t {
    // Refusals: the model is not asked.
    rate_limited,
    quota,
    unauthorized,
    forbidden,
    no_model,
    bad_request,
    request_timeout,
    conflict,
    internal_error,
    bad_gateway,
    unavailable,
    gateway_timeout,
    overloaded,
    html,
    empty,
    redirect,
    // The delivery.
    truncated,
    slow,
    endless,
    stall,
    reset,
    close_idle,
    big,
    gzip_bomb,
    dead,
    // The text of the body.
    truncated_json,
    bad_utf8,
    lone_surrogate,
    deep_nesting,
    // The values in it.
    logprobs_short,
    logprobs_long,
    permuted_choices,
    missing_choice,
    duplicate_index,
    null_logprob,
    nan,
    huge_number,
    string_logprob,
    positive_logprob,
    minus_infinity,
    other_model,
    wrong_tokens,
    // A server that was started again, differently.
    ignored_echo,
    shifted,
};

struct Fault {
    FaultKind kind;
    std::string parameter;
};

struct FaultRule {
    Fault fault;
    double rate = 0.0;         ///< of all requests
    std::uint64_t number = 0;  ///< when above 0: the number-th request and, without `on`, no other
    bool on = false;           ///< all requests from the number-th on
    std::string text;          ///< not empty: all requests whose body has it
};

/// All names, in the order of the enumeration.
[[nodiscard]] std::vector<std::string_view> fault_names();
[[nodiscard]] std::string_view fault_name(FaultKind kind);

/// "KIND:RATE[:PARAM]", "KIND@N[:PARAM]", "KIND@N+[:PARAM]" or "KIND~TEXT". Throws dln::UsageError.
[[nodiscard]] FaultRule parse_fault(std::string_view text);

class FaultPlan {
  public:
    FaultPlan() = default;
    /// Throws dln::UsageError when the rates add up to more than 1.
    FaultPlan(std::vector<FaultRule> rules, std::uint64_t seed);

    /// For a request that was seen `seen` times before and is the `number`-th of all, from 1.
    [[nodiscard]] std::optional<Fault> choose(std::uint64_t request,
                                              std::uint64_t seen,
                                              std::uint64_t number,
                                              std::string_view body = {}) const;
    [[nodiscard]] bool empty() const { return rules_.empty(); }

  private:
    std::vector<FaultRule> rules_;
    std::uint64_t seed_ = 0;
};

}  // namespace fake_llm
