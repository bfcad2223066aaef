#pragma once
// What a fault makes of a reply. Pure, but for the date in a Retry-After header.

#include <chrono>
#include <string>
#include <string_view>

#include "api.hpp"
#include "faults.hpp"
#include "http_reply.hpp"
#include "options.hpp"

namespace fake_llm {

/// True for faults that answer at once, without the model, a slot or latency: refusals of the request and
/// of the connection.
[[nodiscard]] bool answers_at_once(FaultKind kind);

/// The reply of a fault that answers at once. `target` is the request's path and query.
[[nodiscard]] HttpReply refusal_of(const Fault& fault, std::string_view target);

/// The reply of the model, with what `fault` does to it.
[[nodiscard]] HttpReply spoiled(const Fault& fault, Answer answer);

/// The answer as a reply without fault.
[[nodiscard]] HttpReply plain_reply(Answer answer);

/// 429 of a limit of this server.
[[nodiscard]] HttpReply limit_reply(RetryAfter form, std::chrono::milliseconds wait);

/// A gzip stream that is `bytes` of spaces.
[[nodiscard]] std::string gzip_bomb(std::uint64_t bytes);

/// `text` as a positive number, or `fallback` when it is empty. Throws dln::UsageError.
[[nodiscard]] double parameter_number(const Fault& fault, double fallback);

/// Throws dln::UsageError when the fault's parameter cannot be understood.
void check_parameter(const Fault& fault);

}  // namespace fake_llm
