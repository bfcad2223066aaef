#include "llm/http/wire.hpp"

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln::http {

std::optional<int> Tokeniser::count(const Json& reply) const {
    const auto tokens = read_tokens(reply);
    return tokens ? std::optional(static_cast<int>(tokens->size())) : std::nullopt;
}

Call Tokeniser::render(const ServerFacts& /*server*/,
                       std::string_view /*text*/,
                       const RenderedChat& /*so_far*/) const {
    throw InternalError("a chat context was given to a server that renders none");
}

bool Tokeniser::read_rendered(const Json& /*reply*/, RenderedChat& /*so_far*/) const {
    throw InternalError("a chat context was given to a server that renders none");
}

ParsedReply parse_answer(std::string_view body) {
    ParsedReply parsed = parse_reply(body);
    if (const Json* error = member(parsed.value, "error"); error && !error->is_null()) {
        parsed.error = "the server answered with an error: " + server_words(body);
    }
    return parsed;
}

Verdict given_up(int status, std::string_view body, std::string_view reason) {
    Verdict verdict{.kind = Verdict::Kind::refused};
    verdict.reason =
        status == 0 || status >= 500
            ? printable(reason)
            : fmt::format("the server refused this (HTTP {}): {}", status, server_words(body));
    if (verdict.reason.empty()) verdict.reason = "no answer from the server";
    return verdict;
}

std::int64_t estimated_tokens(std::size_t bytes) {
    return static_cast<std::int64_t>(bytes / 3 + 1);
}

std::string too_long(std::size_t context_tokens, std::size_t more, int limit) {
    return fmt::format("a context of {} tokens leaves no room for {} more within {} tokens",
                       context_tokens, more, limit);
}

}  // namespace dln::http
