#include "faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "dln/error.hpp"

#include "model.hpp"

namespace fake_llm {
namespace {

struct NamedKind {
    FaultKind kind;
    std::string_view name;
};

constexpr std::array kKinds{
    NamedKind{FaultKind::rate_limited, "429"},
    NamedKind{FaultKind::quota, "429-quota"},
    NamedKind{FaultKind::unauthorized, "401"},
    NamedKind{FaultKind::forbidden, "403"},
    NamedKind{FaultKind::no_model, "404-model"},
    NamedKind{FaultKind::bad_request, "400"},
    NamedKind{FaultKind::request_timeout, "408"},
    NamedKind{FaultKind::conflict, "409"},
    NamedKind{FaultKind::internal_error, "500"},
    NamedKind{FaultKind::bad_gateway, "502"},
    NamedKind{FaultKind::unavailable, "503"},
    NamedKind{FaultKind::gateway_timeout, "504"},
    NamedKind{FaultKind::overloaded, "529"},
    NamedKind{FaultKind::html, "html-200"},
    NamedKind{FaultKind::empty, "empty-200"},
    NamedKind{FaultKind::redirect, "redirect"},
    NamedKind{FaultKind::truncated, "truncated"},
    NamedKind{FaultKind::slow, "slow"},
    NamedKind{FaultKind::endless, "endless"},
    NamedKind{FaultKind::stall, "stall"},
    NamedKind{FaultKind::reset, "reset"},
    NamedKind{FaultKind::close_idle, "close-idle"},
    NamedKind{FaultKind::big, "big"},
    NamedKind{FaultKind::gzip_bomb, "gzip-bomb"},
    NamedKind{FaultKind::dead, "dead"},
    NamedKind{FaultKind::truncated_json, "truncated-json"},
    NamedKind{FaultKind::bad_utf8, "bad-utf8"},
    NamedKind{FaultKind::lone_surrogate, "lone-surrogate"},
    NamedKind{FaultKind::deep_nesting, "deep-nesting"},
    NamedKind{FaultKind::logprobs_short, "logprobs-short"},
    NamedKind{FaultKind::logprobs_long, "logprobs-long"},
    NamedKind{FaultKind::permuted_choices, "permuted-choices"},
    NamedKind{FaultKind::missing_choice, "missing-choice"},
    NamedKind{FaultKind::duplicate_index, "duplicate-index"},
    NamedKind{FaultKind::null_logprob, "null-logprob"},
    NamedKind{FaultKind::nan, "nan"},
    NamedKind{FaultKind::huge_number, "1e400"},
    NamedKind{FaultKind::string_logprob, "string-logprob"},
    NamedKind{FaultKind::positive_logprob, "positive-logprob"},
    NamedKind{FaultKind::minus_infinity, "minus-inf"},
    NamedKind{FaultKind::other_model, "other-model"},
    NamedKind{FaultKind::wrong_tokens, "wrong-tokens"},
    NamedKind{FaultKind::ignored_echo, "ignored-echo"},
    NamedKind{FaultKind::shifted, "shifted"},
};

FaultKind kind_of(std::string_view name, std::string_view text) {
    for (const NamedKind& one : kKinds) {
        if (one.name == name) {
            return one.kind;
        }
    }
    throw dln::UsageError(fmt::format("--fault {}: unknown kind \"{}\". Expected one of: {}", text,
                                      name, fmt::join(fault_names(), ", ")));
}

template <typename Number>
Number parse_number(std::string_view digits, std::string_view text, std::string_view expected) {
    Number value{};
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size()) {
        throw dln::UsageError(fmt::format("--fault {}: \"{}\" is not {}", text, digits, expected));
    }
    return value;
}

}  // namespace

std::vector<std::string_view> fault_names() {
    std::vector<std::string_view> names;
    names.reserve(kKinds.size());
    for (const NamedKind& one : kKinds) {
        names.push_back(one.name);
    }
    return names;
}

std::string_view fault_name(FaultKind kind) {
    const auto found = std::find_if(kKinds.begin(), kKinds.end(),
                                    [&](const NamedKind& one) { return one.kind == kind; });
    DLN_ASSERT(found != kKinds.end(), "kind {}", static_cast<int>(kind));
    return found->name;
}

FaultRule parse_fault(std::string_view text) {
    const std::size_t mark = text.find_first_of(":@~");
    if (mark == std::string_view::npos) {
        throw dln::UsageError(fmt::format(
            "--fault {}: expected KIND:RATE[:PARAM], KIND@N[+][:PARAM] or KIND~TEXT", text));
    }
    FaultRule rule{.fault = {.kind = kind_of(text.substr(0, mark), text)}};
    std::string_view amount = text.substr(mark + 1);
    if (text[mark] == '~') {
        rule.text = amount;
        if (amount.empty()) {
            throw dln::UsageError(fmt::format("--fault {}: expected a text after ~", text));
        }
        return rule;
    }
    if (const std::size_t colon = amount.find(':'); colon != std::string_view::npos) {
        rule.fault.parameter = amount.substr(colon + 1);
        amount = amount.substr(0, colon);
    }
    if (text[mark] == '@') {
        rule.on = amount.ends_with('+');
        amount.remove_suffix(rule.on ? 1 : 0);
        rule.number = parse_number<std::uint64_t>(amount, text, "the number of a request, from 1");
    } else {
        rule.rate = parse_number<double>(amount, text, "a rate between 0 and 1");
    }
    if (!(rule.rate >= 0.0 && rule.rate <= 1.0) || (text[mark] == '@' && rule.number == 0)) {
        throw dln::UsageError(fmt::format(
            "--fault {}: expected a rate between 0 and 1, or the number of a request from 1",
            text));
    }
    return rule;
}

FaultPlan::FaultPlan(std::vector<FaultRule> rules, std::uint64_t seed)
    : rules_(std::move(rules)), seed_(seed) {
    double sum = 0.0;
    for (const FaultRule& rule : rules_) {
        sum += rule.rate;
    }
    if (sum > 1.0 + 1e-9) {
        throw dln::UsageError(fmt::format(
            "--fault: the rates add up to {}. A request has one fault: at most 1", sum));
    }
}

std::optional<Fault> FaultPlan::choose(std::uint64_t request,
                                       std::uint64_t seen,
                                       std::uint64_t number,
                                       std::string_view body) const {
    for (const FaultRule& rule : rules_) {
        const bool is_hit = rule.text.empty() ? rule.number > 0 && (rule.on ? number >= rule.number
                                                                            : number == rule.number)
                                              : body.find(rule.text) != std::string_view::npos;
        if (is_hit) {
            return rule.fault;
        }
    }
    double left = fraction(mix(mix(seed_, request), seen));
    for (const FaultRule& rule : rules_) {
        left -= rule.rate;
        if (rule.rate > 0.0 && left < 0.0) {
            return rule.fault;
        }
    }
    return std::nullopt;
}

}  // namespace fake_llm
