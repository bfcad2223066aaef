#include "llm/http/bill.hpp"

#include <cmath>

#include "llm/http/openai_shapes.hpp"
#include "llm/http/strict_json.hpp"

namespace dln::http {
namespace {

// Adds what one object of a reply says: {"usage": ...}, SGLang's {"meta_info": ...}, TGI's {"details": ...}.
void add_counted(const Json& part, CountedTokens& counted) {
    const auto add = [](std::optional<std::int64_t>& sum, const std::optional<std::int64_t>& more) {
        if (more) sum = sum.value_or(0) + *more;
    };
    const CountedTokens usage = counted_usage(part);
    add(counted.prompt, usage.prompt);
    add(counted.completion, usage.completion);
    const Json* meta = member(&part, "meta_info");
    add(counted.prompt, token_count(member(meta, "prompt_tokens")));
    add(counted.completion, token_count(member(meta, "completion_tokens")));
    add(counted.completion, token_count(member(member(&part, "details"), "generated_tokens")));
}

bool looks_like_json(std::string_view body) {
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && (body[first] == '{' || body[first] == '[');
}

}  // namespace

Usage bill_of_useless(std::string_view body, const CallCost& cost) {
    if (!looks_like_json(body)) return {};
    CountedTokens counted;
    // What cannot be parsed may have been spoilt on its way: it is taken for a model's.
    const ParsedReply parsed = parse_reply(body);
    if (parsed.ok()) {
        const Json* error = member(parsed.value, "error");
        if (error != nullptr && !error->is_null()) return {};
        if (parsed.value.is_array()) {
            for (const Json& part : parsed.value) add_counted(part, counted);
        } else {
            add_counted(parsed.value, counted);
        }
    }
    return {.requests = std::llround(cost.requests),
            .prompt_tokens = counted.prompt.value_or(std::llround(cost.tokens - cost.output)),
            .discarded_tokens = counted.completion.value_or(std::llround(cost.output))};
}

}  // namespace dln::http
