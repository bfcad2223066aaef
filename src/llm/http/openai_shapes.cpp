#include "llm/http/openai_shapes.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln::http {
namespace {

int small(std::int64_t number) {
    return static_cast<int>(std::clamp<std::int64_t>(number, 0, std::numeric_limits<int>::max()));
}

}  // namespace

void add_neutral_sampling(Json& body) {
    body["top_k"] = 1 << 20;
    body["min_p"] = 0.0;
    body["repetition_penalty"] = 1.0;  // vLLM, SGLang
    body["repeat_penalty"] = 1.0;      // llama.cpp
    body["presence_penalty"] = 0.0;
    body["frequency_penalty"] = 0.0;
}

void add_sampling(Json& body,
                  const GenerateRequest& request,
                  std::uint32_t seed,
                  std::size_t most_stops) {
    body["max_tokens"] = request.max_tokens;
    body["temperature"] = request.temperature;
    body["top_p"] = request.top_p;
    body["seed"] = seed;
    if (request.stop.empty()) return;
    Json& stops = body["stop"] = Json::array();
    for (const std::string& stop : request.stop) {
        if (stops.size() < most_stops) stops.push_back(stop);
    }
}

std::optional<std::vector<const Json*>> entries_in_order(const Json* list, std::size_t count) {
    if (list == nullptr || !list->is_array() || list->size() != count) return std::nullopt;
    std::vector<const Json*> ordered(count, nullptr);
    for (const Json& entry : *list) {
        const auto index = whole_number(member(entry, "index"));
        if (!index || *index < 0 || static_cast<std::uint64_t>(*index) >= count) {
            return std::nullopt;
        }
        const Json*& place = ordered[static_cast<std::size_t>(*index)];
        if (place != nullptr) return std::nullopt;
        place = &entry;
    }
    return ordered;
}

std::optional<std::vector<const Json*>> choices_in_order(const Json& reply, std::size_t count) {
    return entries_in_order(member(reply, "choices"), count);
}

CountedTokens counted_usage(const Json& reply) {
    const Json* usage = member(reply, "usage");
    CountedTokens counted{.prompt = token_count(member(usage, "prompt_tokens")),
                          .completion = token_count(member(usage, "completion_tokens"))};
    const Json* details = member(usage, "prompt_tokens_details");
    counted.cached = token_count(member(details, "cached_tokens")).value_or(0);
    return counted;
}

bool read_finish(const std::string* reason, Written& written) {
    if (reason == nullptr) return false;
    written.cut = *reason == "length";
    if (*reason == "content_filter") {
        written.error = "the server withheld the text (content_filter)";
        return true;
    }
    return written.cut || *reason == "stop" || *reason == "eos" || *reason == "eos_token" ||
           *reason == "stop_sequence";
}

std::size_t CompletionsWriter::prompts_a_call(const ServerFacts& server) const {
    return options_.lists ? server.prompts_a_call : 1;
}

std::string CompletionsWriter::why_not(bool chat) const {
    return chat ? options_.why_no_chat : options_.why_no_plain;
}

Call CompletionsWriter::write(const ServerFacts& server,
                              const GenerateRequest& request,
                              std::span<const WritePrompt> prompts) const {
    Json body{{"model", server.model}};
    const WritePrompt& first = prompts.front();
    if (first.chat) {
        body["messages"] = Json::array({{{"role", "user"}, {"content", first.text}}});
    } else if (!first.tokens.empty()) {
        body["prompt"] = first.tokens;
    } else if (prompts.size() == 1) {
        body["prompt"] = first.text;
    } else {
        Json& list = body["prompt"] = Json::array();
        for (const WritePrompt& prompt : prompts) list.push_back(prompt.text);
    }
    add_sampling(body, request, first.seed, options_.most_stops);
    if (options_.leaves_out_top_p_one && request.top_p >= 1.0) body.erase("top_p");
    if (options_.neutral_sampling) add_neutral_sampling(body);
    return {.path = first.chat ? "/v1/chat/completions" : "/v1/completions", .body = body_of(body)};
}

WriteReply CompletionsWriter::read(const Json& reply, std::span<const WritePrompt> prompts) const {
    const auto choices = choices_in_order(reply, prompts.size());
    if (!choices) return {.malformed = kBadChoices};
    WriteReply result{.counted = counted_usage(reply)};
    for (const Json* choice : *choices) {
        const bool chat = prompts.front().chat;
        const Json* text =
            chat ? member(member(choice, "message"), "content") : member(choice, "text");
        Written written;
        if (!read_finish(text_of(member(choice, "finish_reason")), written)) {
            return {.malformed = "a choice without a known finish_reason"};
        }
        if (const std::string* words = text_of(text)) {
            written.text = *words;
        } else if (!written.error.empty()) {
            // No text is expected.
        } else if (chat && text != nullptr && text->is_null()) {
            written.error = "the reply's message has no content";
        } else {
            return {.malformed = "a choice without a text"};
        }
        if (prompts.size() == 1 && result.counted.completion) {
            written.tokens = small(*result.counted.completion);
        }
        result.texts.push_back(std::move(written));
    }
    return result;
}

void learn_context_tokens(const Json* length, ServerFacts& server) {
    if (const auto tokens = token_count(length); tokens && *tokens > 0) {
        server.context_tokens = small(*tokens);
    }
}

std::string learn_models(int status, std::string_view body, ServerFacts& server) {
    if (status != 200) {
        return fmt::format("the list of models (/v1/models) was refused with HTTP {}: {}", status,
                           server_words(body));
    }
    const ParsedReply parsed = parse_reply(body);
    if (!parsed.ok()) return "the list of models (/v1/models): " + parsed.error;
    const Json* list = parsed.value.is_array() ? &parsed.value : member(parsed.value, "data");
    if (list == nullptr || !list->is_array() || list->empty()) {
        return "the list of models (/v1/models) is empty";
    }
    std::vector<std::string> names;
    const Json* chosen = nullptr;
    for (const Json& model : *list) {
        const std::string* name = text_of(member(model, "id"));
        if (name == nullptr) continue;
        names.push_back(*name);
        if (*name == server.model || (server.model.empty() && list->size() == 1)) chosen = &model;
    }
    if (chosen == nullptr) {
        std::string known;
        for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 8); ++i) {
            known += (i == 0 ? "" : ", ") + printable(names[i], 60);
        }
        if (names.size() > 8) known += fmt::format(" and {} more", names.size() - 8);
        if (server.model.empty()) return "several models are served, name one of them: " + known;
        const auto near = near_miss(server.model, names);
        return fmt::format("the server has no model \"{}\". It has: {}{}",
                           printable(server.model, 60), known,
                           near ? fmt::format(". Did you mean \"{}\"?", printable(*near, 60)) : "");
    }
    server.model = *text_of(member(chosen, "id"));
    for (const char* field : {"max_model_len", "context_length"}) {
        learn_context_tokens(member(chosen, field), server);
    }
    if (const std::string* owner = text_of(member(chosen, "owned_by")); owner != nullptr) {
        server.software = printable(*owner, 60);
    }
    return {};
}

}  // namespace dln::http
