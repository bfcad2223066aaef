#include "fault_effects.hpp"

#include <cmath>
#include <ctime>
#include <utility>

#include "dln/error.hpp"

#include "spoil_values.hpp"

namespace fake_llm {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr double kBigMegabytes = 100.0;
constexpr double kSlowMs = 20.0;
constexpr double kEndlessMs = 1.0;
constexpr std::size_t kNesting = 100'000;
constexpr std::chrono::hours kHugeWait{24 * 365};

HttpReply json_reply(int status, const Json& body) {
    return {.status = status, .body = body.dump()};
}

HttpReply error_reply(int status, const char* message, const char* type, const char* code) {
    return json_reply(
        status,
        {{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", code}}}});
}

HttpReply html_reply(int status, std::string_view title) {
    return {.status = status,
            .content_type = "text/html",
            .body = fmt::format("<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n"
                                "<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n"
                                "</body>\r\n</html>\r\n",
                                title)};
}

HttpReply gateway_reply(int status) {
    return html_reply(status, fmt::format("{} {}", status, reason_phrase(status)));
}

std::string http_date(std::chrono::milliseconds wait) {
    const auto when =
        std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::now() + wait);
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::string text(64, '\0');
    text.resize(std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
    return text;
}

void add_retry_after(HttpReply& reply, RetryAfter form, std::chrono::milliseconds wait) {
    switch (form) {
        case RetryAfter::seconds: {
            const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
            reply.headers.push_back({"retry-after", std::to_string(seconds)});
            break;
        }
        case RetryAfter::date:
            reply.headers.push_back({"retry-after", http_date(wait)});
            break;
        case RetryAfter::huge:
            reply.headers.push_back(
                {"retry-after", std::to_string(std::chrono::seconds(kHugeWait).count())});
            break;
        case RetryAfter::absent:
            break;
    }
}

/// "date", "absent", "huge" or seconds.
HttpReply rate_limited(const Fault& fault) {
    const std::string& form = fault.parameter;
    constexpr std::chrono::milliseconds kSecond{1000};
    if (form == "date") {
        return limit_reply(RetryAfter::date, kSecond);
    }
    if (form == "absent") {
        return limit_reply(RetryAfter::absent, kSecond);
    }
    if (form == "huge") {
        return limit_reply(RetryAfter::huge, kSecond);
    }
    const double seconds = parameter_number(fault, 1.0);
    return limit_reply(RetryAfter::seconds,
                       std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0)));
}

HttpReply with_delivery(Delivery delivery) { return {.delivery = delivery}; }

HttpReply compressed(std::uint64_t bytes) {
    return {.headers = {{"content-encoding", "gzip"}}, .body = gzip_bomb(bytes)};
}

std::uint64_t megabytes(const Fault& fault) {
    return static_cast<std::uint64_t>(parameter_number(fault, kBigMegabytes) *
                                      static_cast<double>(kMegabyte));
}

std::string half(const std::string& body) { return body.substr(0, body.size() / 2); }

}  // namespace

bool answers_at_once(FaultKind kind) {
    return kind <= FaultKind::redirect || kind == FaultKind::stall || kind == FaultKind::dead;
}

HttpReply refusal_of(const Fault& fault, std::string_view target) {
    switch (fault.kind) {
        case FaultKind::rate_limited:
            return rate_limited(fault);
        case FaultKind::quota:
            return error_reply(429,
                               "You exceeded your current quota, please check your plan and "
                               "billing details.",
                               "insufficient_quota", "insufficient_quota");
        case FaultKind::unauthorized:
            return error_reply(401, "Incorrect API key provided.", "invalid_request_error",
                               "invalid_api_key");
        case FaultKind::forbidden:
            return error_reply(403, "This key may not use this model.", "permission_error",
                               "model_forbidden");
        case FaultKind::no_model:
            return error_reply(404, "The model does not exist or you do not have access to it.",
                               "invalid_request_error", "model_not_found");
        case FaultKind::bad_request:
            return error_reply(400, "Invalid value in the request.", "invalid_request_error",
                               "invalid_value");
        case FaultKind::request_timeout:
            return error_reply(408, "The request took too long to arrive.", "timeout", "timeout");
        case FaultKind::conflict:
            return error_reply(409, "The resource is locked by another request.", "conflict_error",
                               "conflict");
        case FaultKind::internal_error:
            return error_reply(500, "The server had an error while processing your request.",
                               "server_error", "server_error");
        case FaultKind::bad_gateway:
            return gateway_reply(502);
        case FaultKind::unavailable:
            return gateway_reply(503);
        case FaultKind::gateway_timeout:
            return gateway_reply(504);
        case FaultKind::overloaded:
            return json_reply(
                529, {{"type", "error"},
                      {"error", {{"type", "overloaded_error"}, {"message", "Overloaded"}}}});
        case FaultKind::html:
            return html_reply(200, "Scheduled maintenance");
        case FaultKind::redirect: {
            HttpReply reply = html_reply(302, "302 Found");
            reply.headers.push_back(
                {"location", fmt::format("http://{}{}", fault.parameter, target)});
            return reply;
        }
        case FaultKind::stall:
            return with_delivery(Delivery::stall);
        case FaultKind::dead:
            return with_delivery(Delivery::reset);
        default:  // empty-200
            return {};
    }
}

HttpReply spoiled(const Fault& fault, Answer answer) {
    if (!answer.text.empty()) {
        answer.body = Json::parse(std::exchange(answer.text, {}));
    }
    spoil_values(fault.kind, answer.body);
    HttpReply reply = plain_reply(std::move(answer));
    spoil_text(fault.kind, reply.body);
    switch (fault.kind) {
        case FaultKind::truncated:
            reply.delivery = Delivery::truncated;
            break;
        case FaultKind::slow:
            reply.delivery = Delivery::slow;
            reply.pace_ms = parameter_number(fault, kSlowMs);
            break;
        case FaultKind::endless:
            reply.delivery = Delivery::endless;
            reply.pace_ms = parameter_number(fault, kEndlessMs);
            break;
        case FaultKind::reset:
            reply.delivery = fault.parameter == "middle" ? Delivery::reset_middle : Delivery::reset;
            break;
        case FaultKind::close_idle:
            reply.delivery = Delivery::close_after;
            break;
        case FaultKind::big:
            reply.delivery = Delivery::padded;
            reply.padding = megabytes(fault);
            break;
        case FaultKind::gzip_bomb:
            return compressed(megabytes(fault));
        case FaultKind::truncated_json:
            reply.body = half(reply.body);
            break;
        case FaultKind::deep_nesting:
            reply.body = std::string(kNesting, '[');
            break;
        default:
            break;
    }
    return reply;
}

HttpReply plain_reply(Answer answer) {
    if (!answer.text.empty()) {
        return {.status = answer.status, .body = std::move(answer.text)};
    }
    // A token may be a byte of a longer character: servers replace it.
    return {.status = answer.status,
            .body = answer.body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

HttpReply limit_reply(RetryAfter form, std::chrono::milliseconds wait) {
    HttpReply reply = error_reply(429, "Rate limit reached. Please try again later.", "requests",
                                  "rate_limit_exceeded");
    add_retry_after(reply, form, wait);
    return reply;
}

double parameter_number(const Fault& fault, double fallback) {
    if (fault.parameter.empty()) {
        return fallback;
    }
    std::size_t used = 0;
    double value = -1.0;
    try {
        value = std::stod(fault.parameter, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    if (used != fault.parameter.size() || !(value >= 0.0 && value < 1e9)) {
        throw dln::UsageError(fmt::format("--fault {}: parameter \"{}\". Expected a number",
                                          fault_name(fault.kind), fault.parameter));
    }
    return value;
}

void check_parameter(const Fault& fault) {
    const std::string& parameter = fault.parameter;
    const auto expect = [&](bool ok, std::string_view expected) {
        if (!ok) {
            throw dln::UsageError(fmt::format("--fault {}: parameter \"{}\". Expected {}",
                                              fault_name(fault.kind), parameter, expected));
        }
    };
    switch (fault.kind) {
        case FaultKind::rate_limited:
            if (parameter != "date" && parameter != "absent" && parameter != "huge") {
                static_cast<void>(parameter_number(fault, 1.0));
            }
            break;
        case FaultKind::slow:
        case FaultKind::endless:
        case FaultKind::big:
        case FaultKind::gzip_bomb:
        case FaultKind::dead:
            static_cast<void>(parameter_number(fault, 1.0));
            break;
        case FaultKind::reset:
            expect(parameter.empty() || parameter == "before" || parameter == "middle",
                   "before or middle");
            break;
        case FaultKind::redirect:
            expect(!parameter.empty(), "host:port of another server");
            break;
        default:
            expect(parameter.empty(), "none");
            break;
    }
}

}  // namespace fake_llm
