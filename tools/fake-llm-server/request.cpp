#include "request.hpp"

#include <cmath>

#include <fmt/format.h>

namespace fake_llm {
namespace {

constexpr int kMostTokens = 1 << 24;

Refusal wrong_type(const Backstage& backstage, const char* name, const char* expected) {
    return refusal(backstage.options.flavour, 400, fmt::format("{}: expected {}", name, expected));
}

Prompt text_prompt(const Backstage& backstage, const Json& value, bool add_special) {
    Prompt prompt{value.get<std::string>(), {}};
    prompt.tokens = backstage.language.prompt_tokens(prompt.text, add_special);
    return prompt;
}

Prompt token_prompt(const Backstage& backstage, const Json& value) {
    Prompt prompt{{}, read_tokens(backstage, value)};
    prompt.text = backstage.language.plain_text(prompt.tokens);
    return prompt;
}

Refusal context_refusal(const Options& options, std::size_t tokens, int max_tokens) {
    const auto sum = static_cast<std::int64_t>(tokens) + max_tokens;
    switch (options.flavour) {
        case Flavour::llama_server:
            return {
                400,
                {{"error",
                  {{"code", 400},
                   {"message", "the request exceeds the available context size, try increasing it"},
                   {"type", "exceed_context_size_error"},
                   {"n_prompt_tokens", tokens},
                   {"n_ctx", options.max_context}}}}};
        case Flavour::llama_cpp_python:
            return refusal(options.flavour, 500,
                           fmt::format("Requested tokens ({}) exceed context window of {}", tokens,
                                       options.max_context));
        case Flavour::sglang:
            return refusal(options.flavour, 400,
                           fmt::format("The input ({} tokens) is longer than the model's context "
                                       "length ({} tokens).",
                                       tokens, options.max_context));
        case Flavour::tgi:
            return refusal(options.flavour, 422,
                           fmt::format("Input validation error: `inputs` tokens + "
                                       "`max_new_tokens` must be <= {}. Given: {} `inputs` tokens "
                                       "and {} `max_new_tokens`",
                                       options.max_context, tokens, max_tokens));
        default:
            return refusal(
                options.flavour, 400,
                fmt::format("This model's maximum context length is {} tokens. However, you "
                            "requested {} tokens ({} in the messages, {} in the completion). "
                            "Please reduce the length of the messages or completion.",
                            options.max_context, sum, tokens, max_tokens));
    }
}

void use_other_tokens(const Backstage& backstage, Prompt& prompt) {
    for (Token& token : prompt.tokens) {
        if (!is_special(token)) {
            token = kFirstByte + (token - kFirstByte + 1) % (kVocabulary - kFirstByte);
        }
    }
    prompt.text = backstage.language.plain_text(prompt.tokens);
}

std::uint64_t prompt_hash(const Prompt& prompt) {
    std::uint64_t hash = prompt.tokens.size();
    for (const Token token : prompt.tokens) {
        hash = mix(hash, static_cast<std::uint64_t>(token));
    }
    return hash;
}

}  // namespace

Refusal refusal(Flavour flavour, int status, const std::string& message) {
    switch (flavour) {
        case Flavour::llama_cpp_python:
            return {status,
                    {{"error",
                      {{"message", message},
                       {"type", "internal_server_error"},
                       {"param", nullptr},
                       {"code", nullptr}}}}};
        case Flavour::llama_server:
            return {
                status,
                {{"error",
                  {{"code", status}, {"message", message}, {"type", "invalid_request_error"}}}}};
        case Flavour::together:
            return {status,
                    {{"error",
                      {{"message", message},
                       {"type", "invalid_request_error"},
                       {"param", nullptr},
                       {"code", nullptr}}}}};
        case Flavour::sglang:
            return {status,
                    {{"object", "error"},
                     {"message", message},
                     {"type", "BadRequest"},
                     {"param", nullptr},
                     {"code", status}}};
        case Flavour::tgi:
            return {status, {{"error", message}, {"error_type", "validation"}}};
        default:
            return {status,
                    {{"error",
                      {{"message", message},
                       {"type", status == 404 ? "NotFoundError" : "BadRequestError"},
                       {"param", nullptr},
                       {"code", status}}}}};
    }
}

Json read_object(const Backstage& backstage, std::string_view body) {
    Json object = Json::parse(body, nullptr, false);
    if (!object.is_object()) {
        throw refusal(backstage.options.flavour, 400, "the body is not a JSON object");
    }
    return object;
}

double number_or(const Backstage& backstage,
                 const Json& object,
                 const char* name,
                 double fallback) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
        return fallback;
    }
    if (!found->is_number()) {
        throw wrong_type(backstage, name, "a number");
    }
    return found->get<double>();
}

std::optional<int> optional_integer(const Backstage& backstage,
                                    const Json& object,
                                    const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
        return std::nullopt;
    }
    if (!found->is_number_integer() || std::abs(found->get<double>()) > kMostTokens) {
        throw wrong_type(backstage, name, "an integer");
    }
    return found->get<int>();
}

int integer_or(const Backstage& backstage, const Json& object, const char* name, int fallback) {
    return optional_integer(backstage, object, name).value_or(fallback);
}

bool flag_or(const Backstage& backstage, const Json& object, const char* name, bool fallback) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
        return fallback;
    }
    if (!found->is_boolean()) {
        throw wrong_type(backstage, name, "true or false");
    }
    return found->get<bool>();
}

std::vector<Token> read_tokens(const Backstage& backstage, const Json& value) {
    if (!value.is_array()) {
        throw wrong_type(backstage, "tokens", "a list of token ids");
    }
    std::vector<Token> tokens;
    tokens.reserve(value.size());
    for (const Json& one : value) {
        if (!one.is_number_integer() || one < 0 || one >= kVocabulary) {
            throw refusal(backstage.options.flavour, 400,
                          fmt::format("Token id {} is out of vocabulary", one.dump()));
        }
        tokens.push_back(one.get<Token>());
    }
    return tokens;
}

std::vector<Prompt> read_prompts(const Backstage& backstage, const Json& value, bool add_special) {
    std::vector<Prompt> prompts;
    if (value.is_string()) {
        prompts.push_back(text_prompt(backstage, value, add_special));
        return prompts;
    }
    if (!value.is_array() || value.empty()) {
        throw wrong_type(backstage, "prompt", "a text, texts, token ids or lists of token ids");
    }
    if (value.front().is_number()) {
        prompts.push_back(token_prompt(backstage, value));
        return prompts;
    }
    for (const Json& one : value) {
        prompts.push_back(one.is_string() ? text_prompt(backstage, one, add_special)
                                          : token_prompt(backstage, one));
    }
    return prompts;
}

Prompt read_chat_prompt(const Backstage& backstage, const Json& object) {
    const Json messages = object.value("messages", Json());
    if (!messages.is_array() || messages.empty()) {
        throw wrong_type(backstage, "messages", "a list of messages");
    }
    std::string text;
    for (const Json& message : messages) {
        if (!message.is_object() || !message.value("role", Json()).is_string()) {
            throw wrong_type(backstage, "messages", "a role and content in each");
        }
        const Json content = message.value("content", Json());
        std::string words = content.is_string() ? content.get<std::string>() : "";
        if (content.is_array()) {
            for (const Json& part : content) {
                words += part.is_object() ? part.value("text", "") : "";
            }
        }
        text += fmt::format("<|{}|>\n{}\n", message["role"].get<std::string>(), words);
    }
    text += "<|assistant|>\n";
    return text_prompt(backstage, text, true);
}

GenerateLimits read_limits(const Backstage& backstage, const Json& object) {
    GenerateLimits limits;
    limits.sampling.temperature = number_or(backstage, object, "temperature", 1.0);
    limits.sampling.top_p = number_or(backstage, object, "top_p", 1.0);
    limits.sampling.top_k = integer_or(backstage, object, "top_k", 0);
    limits.sampling.ignore_end = flag_or(backstage, object, "ignore_eos", false);
    if (limits.sampling.temperature < 0.0) {
        throw wrong_type(backstage, "temperature", "at least 0");
    }
    if (!(limits.sampling.top_p > 0.0 && limits.sampling.top_p <= 1.0)) {
        throw wrong_type(backstage, "top_p", "a number above 0, at most 1");
    }
    const Json seed = object.value("seed", Json());
    limits.sampling.seed = seed.is_number_integer() ? seed.get<std::uint64_t>() : 0;
    Json stop = object.value("stop", Json());
    if (stop.is_string()) {
        stop = Json::array({stop});
    }
    for (const Json& one : stop) {
        if (!one.is_string()) {
            throw wrong_type(backstage, "stop", "a text or texts");
        }
        limits.stop.push_back(one);
    }
    return limits;
}

void accept_prompts(const Backstage& backstage,
                    const Call& call,
                    int max_tokens,
                    std::vector<Prompt>& prompts,
                    Work& work) {
    const auto context = static_cast<std::size_t>(backstage.options.max_context);
    const auto most = context - std::min(context - 1, static_cast<std::size_t>(max_tokens));
    for (Prompt& prompt : prompts) {
        work.prompt_hashes.push_back(prompt_hash(prompt));
        if (call.wrong_tokens) {
            use_other_tokens(backstage, prompt);
        }
        if (prompt.tokens.size() + static_cast<std::size_t>(max_tokens) > context) {
            if (!backstage.options.truncate) {
                throw context_refusal(backstage.options, prompt.tokens.size(), max_tokens);
            }
            const auto surplus = prompt.tokens.size() - std::min(most, prompt.tokens.size());
            prompt.tokens.erase(prompt.tokens.begin(),
                                prompt.tokens.begin() + static_cast<std::ptrdiff_t>(surplus));
            prompt.text = backstage.language.plain_text(prompt.tokens);
        }
        work.prompt_tokens += static_cast<std::int64_t>(prompt.tokens.size());
    }
}

std::string reply_id(std::string_view prefix, const Call& call) {
    return fmt::format("{}{:016x}", prefix, call.hash);
}

const char* finish_name(Finish finish) { return finish == Finish::length ? "length" : "stop"; }

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace fake_llm
