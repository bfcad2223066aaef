// /v1/chat/completions: generation, with the log-probabilities of what was generated.

#include <algorithm>

#include "dialects.hpp"

namespace fake_llm {
namespace {

Json bytes_of(const std::string& text) {
    Json bytes = Json::array();
    for (const char c : text) {
        bytes.push_back(static_cast<unsigned char>(c));
    }
    return bytes;
}

Json named_token(const Backstage& backstage, Token token, double log_prob, bool with_id) {
    const std::string& piece = backstage.language.tokenizer().piece(token);
    Json entry{{"token", piece}, {"logprob", finite_or_null(log_prob)}, {"bytes", bytes_of(piece)}};
    if (with_id) {
        entry["id"] = token;
    }
    return entry;
}

Json chat_choice(const Backstage& backstage,
                 const Generated& generated,
                 bool logprobs,
                 int top_count) {
    Json choice{{"message", {{"role", "assistant"}, {"content", generated.text}}},
                {"logprobs", nullptr},
                {"finish_reason", finish_name(generated.finish)}};
    if (logprobs) {
        Json content = Json::array();
        const bool with_id = backstage.options.flavour == Flavour::llama_server;
        for (const ScoredToken& one : generated.tokens) {
            content.push_back(content_entry(backstage, one, top_count, with_id));
        }
        choice["logprobs"] = {{"content", std::move(content)}};
    }
    if (backstage.options.flavour == Flavour::vllm) {
        choice["message"].update({{"refusal", nullptr}, {"tool_calls", Json::array()}});
        choice["stop_reason"] =
            generated.finish == Finish::stop ? Json(generated.stopped_by) : Json();
    }
    return choice;
}

}  // namespace

Json content_entry(const Backstage& backstage,
                   const ScoredToken& scored,
                   int top_count,
                   bool with_id) {
    Json entry = named_token(backstage, scored.token, scored.log_prob, with_id);
    entry["top_logprobs"] = Json::array();
    for (const RankedToken& one : backstage.language.model().top(scored.before, top_count)) {
        entry["top_logprobs"].push_back(named_token(backstage, one.token, one.log_prob, with_id));
    }
    return entry;
}

Answer chat_completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    std::vector<Prompt> prompts{read_chat_prompt(backstage, body)};
    GenerateLimits limits = read_limits(backstage, body);
    if (backstage.options.flavour == Flavour::tgi) {
        check_tgi_top_p(body);
    }
    const int room = std::max(
        backstage.options.max_context - static_cast<int>(prompts.front().tokens.size()), 1);
    limits.max_tokens = integer_or(backstage, body, "max_completion_tokens",
                                   integer_or(backstage, body, "max_tokens", room));
    if (limits.max_tokens < 1) {
        throw refusal(backstage.options.flavour, 400, "max_tokens must be at least 1.");
    }
    accept_prompts(backstage, call, limits.max_tokens, prompts, answer.work);
    const bool logprobs = flag_or(backstage, body, "logprobs", false);
    const int top_count = integer_or(backstage, body, "top_logprobs", 0);
    const int samples = std::clamp(integer_or(backstage, body, "n", 1), 1, 1024);
    Json choices = Json::array();
    for (int sample = 0; sample < samples; ++sample) {
        const Generated generated = backstage.language.generate(prompts.front().tokens, limits);
        choices.push_back(chat_choice(backstage, generated, logprobs, top_count));
        choices.back()["index"] = sample;
        answer.work.completion_tokens += static_cast<std::int64_t>(generated.tokens.size());
        ++limits.sampling.seed;
    }
    answer.body = {{"id", reply_id("chatcmpl-", call)},
                   {"object", "chat.completion"},
                   {"created", kCreated},
                   {"model", backstage.options.model},
                   {"choices", std::move(choices)},
                   {"usage", usage(answer.work.prompt_tokens, answer.work.completion_tokens)}};
    return answer;
}

}  // namespace fake_llm
