#include "llm/http/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln::http {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kYear{366 * 24 * 3600};
constexpr std::size_t kExcerptCharacters = 160;

std::optional<int> number(std::string_view digits) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool sound = error == std::errc() && end == digits.data() + digits.size() && value >= 0;
    return sound ? std::optional(value) : std::nullopt;
}

std::optional<unsigned> month(std::string_view name) {
    constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto found = std::find(kMonths.begin(), kMonths.end(), name);
    if (found == kMonths.end()) {
        return std::nullopt;
    }
    return static_cast<unsigned>(found - kMonths.begin()) + 1;
}

/// The words of a date, split at spaces, commas and hyphens: all three forms then differ in order only.
std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (words.size() < 8) {
        const auto begin = text.find_first_not_of(" ,-");
        if (begin == std::string_view::npos) {
            break;
        }
        text.remove_prefix(begin);
        const auto end = std::min(text.find_first_of(" ,-"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

struct DateWords {
    std::string_view day, month, year, time;
};

std::optional<std::chrono::sys_seconds> date_of(const DateWords& words,
                                                std::chrono::system_clock::time_point now) {
    const auto day = number(words.day);
    const auto named = month(words.month);
    auto year = number(words.year);
    const auto& time = words.time;
    if (!day || !named || !year || time.size() != 8 || time[2] != ':' || time[5] != ':') {
        return std::nullopt;
    }
    const auto hour = number(time.substr(0, 2));
    const auto minute = number(time.substr(3, 2));
    const auto second = number(time.substr(6, 2));
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    if (words.year.size() == 2) {  // RFC 850; more than 50 years ahead means the past
        const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
        const int this_year = static_cast<int>(today.year());
        *year += this_year / 100 * 100;
        *year -= *year > this_year + 50 ? 100 : 0;
    }
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*named),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) {
        return std::nullopt;
    }
    return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
           seconds(*second);
}

std::optional<std::chrono::sys_seconds> parse_date(std::string_view text,
                                                   std::chrono::system_clock::time_point now) {
    const auto words = words_of(text);
    if (words.size() == 6 && words[5] == "GMT") {  // Sun, 06 Nov 1994 08:49:37 GMT; or 06-Nov-94
        return date_of({words[1], words[2], words[3], words[4]}, now);
    }
    if (words.size() == 5) {  // Sun Nov  6 08:49:37 1994
        return date_of({words[2], words[1], words[4], words[3]}, now);
    }
    return std::nullopt;
}

bool says_quota(std::string_view body) {
    for (const std::string_view word : {"insufficient_quota", "billing_hard_limit",
                                        "billing_not_active", "exceeded your current quota"}) {
        if (body.find(word) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

Outcome outcome_of_fault(TransportFault fault) {
    switch (fault) {
        case TransportFault::none:
            return Outcome::ok;
        case TransportFault::resolve:
        case TransportFault::connect:
        case TransportFault::tls:
            return Outcome::busy;
        case TransportFault::certificate:
            return Outcome::misdirected;
        default:
            return Outcome::retry;
    }
}

Outcome outcome_of_status(int status, std::string_view body) {
    switch (status) {
        case 200:
            return Outcome::ok;
        case 402:
            return Outcome::quota;
        case 401:
        case 403:
            return Outcome::unauthorised;
        case 404:
            return Outcome::no_such_model;
        case 429:
            return says_quota(body) ? Outcome::quota : Outcome::busy;
        case 502:
        case 503:
        case 529:
            return Outcome::busy;
        case 408:
        case 409:
        case 424:  // TGI: generating failed inside
        case 425:
            return Outcome::retry;
        default:
            break;
    }
    if (status >= 300 && status < 400) {
        return Outcome::misdirected;
    }
    // 2xx other than 200 has no answer in it; what HTTP does not know is a server out of its mind.
    return status >= 400 && status < 500 ? Outcome::fail_item : Outcome::retry;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
    constexpr std::array<std::string_view, kOutcomes> kNames{
        "ok",           "retry",         "busy",        "fail_item", "quota",
        "unauthorised", "no_such_model", "misdirected", "long_wait"};
    return kNames.at(static_cast<std::size_t>(outcome));
}

std::string_view advice_for(Outcome outcome) {
    switch (outcome) {
        case Outcome::quota:
            return "The account is used up: top it up or give another key, then start the same "
                   "command again.";
        case Outcome::unauthorised:
            return "Check the key (key_env or key_file) and what it may be used for.";
        case Outcome::no_such_model:
            return "Check the address and the model's name (served_model).";
        case Outcome::misdirected:
            return "Check the address: it must be that of the server itself.";
        case Outcome::long_wait:
            return "Start the same command again when that time is over.";
        default:
            return "";
    }
}

bool refuses_endpoint(Outcome outcome) { return outcome >= Outcome::quota; }

std::optional<milliseconds> parse_retry_after(std::string_view value,
                                              std::chrono::system_clock::time_point now) {
    value = trim(value);
    if (value.empty()) {
        return std::nullopt;
    }
    if (std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        std::int64_t wait = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), wait);
        return error == std::errc() ? std::min(seconds(wait), kYear) : kYear;
    }
    const auto date = parse_date(value, now);
    if (!date) {
        return std::nullopt;
    }
    // In seconds, as a far date has no place in the clock's nanoseconds; never earlier than asked.
    const auto wait = *date - std::chrono::floor<seconds>(now);
    return std::clamp<milliseconds>(wait, seconds(0), kYear);
}

Assessment assess(const TransportReply& reply,
                  const RetryPolicy& policy,
                  std::chrono::system_clock::time_point now) {
    Assessment result;
    if (reply.fault != TransportFault::none) {
        result.outcome = outcome_of_fault(reply.fault);
        result.reason = reply.reason;
        return result;
    }
    result.outcome = outcome_of_status(reply.status, reply.body);
    if (result.outcome == Outcome::ok) {
        return result;
    }
    result.reason = fmt::format("HTTP status {}", reply.status);
    if (result.outcome == Outcome::misdirected) {
        result.reason += fmt::format(": a redirect to {}, which is not followed",
                                     printable(reply.location, kExcerptCharacters));
    } else if (!reply.body.empty()) {
        result.reason +=
            ": " + printable(std::string_view(reply.body).substr(0, 2000), kExcerptCharacters);
    }
    if (result.outcome == Outcome::busy || result.outcome == Outcome::retry) {
        result.retry_after = parse_retry_after(reply.retry_after, now);
        if (result.retry_after && *result.retry_after > policy.longest_retry_after) {
            result.outcome = Outcome::long_wait;
            result.reason += fmt::format(
                " (Retry-After is {} s, more than the {} s that are allowed)",
                std::chrono::duration_cast<seconds>(*result.retry_after).count(),
                std::chrono::duration_cast<seconds>(policy.longest_retry_after).count());
        }
    }
    return result;
}

std::optional<milliseconds> next_delay(const RetryPolicy& policy,
                                       const Tries& tries,
                                       std::optional<milliseconds> retry_after,
                                       const RandomKey& key) {
    if (tries.attempts >= policy.most_attempts || tries.busy >= policy.most_busy_attempts) {
        return std::nullopt;
    }
    const int alike = tries.last_was_busy ? tries.busy : tries.attempts;
    const auto longest = tries.last_was_busy ? policy.longest_delay : policy.longest_retry_delay;
    const auto bound = std::min<std::int64_t>(longest.count(), policy.first_delay.count()
                                                                   << std::clamp(alike - 1, 0, 30));
    const auto jitter = CounterRng(key).uniform() * static_cast<double>(bound);
    const auto delay =
        retry_after.value_or(milliseconds(0)) + milliseconds(static_cast<std::int64_t>(jitter));
    if (tries.since_first + delay > policy.total) {
        return std::nullopt;
    }
    return delay;
}

}  // namespace dln::http
