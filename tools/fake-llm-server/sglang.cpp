// SGLang's own /generate: the scores of a prompt's tokens from any place on.

#include <algorithm>
#include <cmath>

#include "dialects.hpp"

namespace fake_llm {
namespace {

struct Generate {
    std::vector<Prompt> prompts;
    GenerateLimits limits;
    bool is_list = false;
    bool return_logprob = false;
    bool return_text = false;
    int logprob_start = -1;
    int top_count = 0;
    std::vector<Token> wanted;  // "token_ids_logprob"
};

Json entry(const Backstage& backstage, const Generate& request, Token token, Json value) {
    return Json::array(
        {std::move(value), token,
         request.return_text ? Json(backstage.language.tokenizer().piece(token)) : Json()});
}

Json value_of(double log_prob) {
    if (!std::isfinite(log_prob)) {
        throw refusal(Flavour::sglang, 500,
                      "Out of range float values are not JSON compliant: -inf");
    }
    return log_prob;
}

Json top_entries(const Backstage& backstage, const Generate& request, State state) {
    Json list = Json::array();
    for (const RankedToken& one : backstage.language.model().top(state, request.top_count)) {
        list.push_back(entry(backstage, request, one.token, value_of(one.log_prob)));
    }
    return list;
}

Json wanted_entries(const Backstage& backstage, const Generate& request, State state) {
    Json list = Json::array();
    for (const Token token : request.wanted) {
        list.push_back(entry(backstage, request, token,
                             value_of(backstage.language.model().log_prob(state, token))));
    }
    return list;
}

/// Adds PREFIX_token_logprobs and its companions; the first entry is null when `first_is_null`.
void add_logprobs(const Backstage& backstage,
                  const Generate& request,
                  const std::string& prefix,
                  std::span<const ScoredToken> tokens,
                  bool first_is_null,
                  Json& meta) {
    Json own = Json::array();
    Json top = Json::array();
    Json wanted = Json::array();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool is_null = first_is_null && i == 0;
        own.push_back(entry(backstage, request, tokens[i].token,
                            is_null ? Json() : value_of(tokens[i].log_prob)));
        top.push_back(is_null ? Json() : top_entries(backstage, request, tokens[i].before));
        wanted.push_back(is_null ? Json() : wanted_entries(backstage, request, tokens[i].before));
    }
    meta[prefix + "_token_logprobs"] = std::move(own);
    if (request.top_count > 0) {
        meta[prefix + "_top_logprobs"] = std::move(top);
    }
    if (!request.wanted.empty()) {
        meta[prefix + "_token_ids_logprobs"] = std::move(wanted);
    }
}

Json finish_reason(const Generated& generated) {
    switch (generated.finish) {
        case Finish::length:
            return {{"type", "length"}, {"length", generated.tokens.size()}};
        case Finish::end:
            return {{"type", "stop"}, {"matched", kEnd}};
        case Finish::stop:
            break;
    }
    return {{"type", "stop"}, {"matched", generated.stopped_by}};
}

Json reply_to(const Backstage& backstage,
              const Generate& request,
              const Prompt& prompt,
              Work& work,
              const std::string& id) {
    const Generated generated = backstage.language.generate(prompt.tokens, request.limits);
    work.completion_tokens += static_cast<std::int64_t>(generated.tokens.size());
    Json ids = Json::array();
    for (const ScoredToken& one : generated.tokens) {
        ids.push_back(one.token);
    }
    Json meta{{"id", id},
              {"finish_reason", finish_reason(generated)},
              {"prompt_tokens", prompt.tokens.size()},
              {"completion_tokens", generated.tokens.size()},
              {"cached_tokens", 0}};
    if (request.return_logprob) {
        const std::vector<ScoredToken> scored = backstage.language.score(prompt.tokens);
        const std::size_t begin =
            request.logprob_start < 0
                ? scored.size()
                : std::min(static_cast<std::size_t>(request.logprob_start), scored.size());
        add_logprobs(backstage, request, "input", std::span(scored).subspan(begin), true, meta);
        add_logprobs(backstage, request, "output", generated.tokens, false, meta);
    }
    return {
        {"text", generated.text}, {"output_ids", std::move(ids)}, {"meta_info", std::move(meta)}};
}

Generate read_generate(const Backstage& backstage, const Json& body) {
    Generate request;
    const Json& value = body.contains("text") ? body["text"] : body.value("input_ids", Json());
    request.is_list = value.is_array() && !value.empty() && !value.front().is_number();
    request.prompts = read_prompts(backstage, value, true);
    const Json sampling = body.value("sampling_params", Json::object());
    if (!sampling.is_object()) {
        throw refusal(Flavour::sglang, 400, "sampling_params: expected one object");
    }
    request.limits = read_limits(backstage, sampling);
    request.limits.max_tokens = integer_or(backstage, sampling, "max_new_tokens", 128);
    if (sampling.contains("sampling_seed")) {
        request.limits.sampling.seed =
            static_cast<std::uint64_t>(integer_or(backstage, sampling, "sampling_seed", 0));
    }
    request.return_logprob = flag_or(backstage, body, "return_logprob", false);
    request.return_text = flag_or(backstage, body, "return_text_in_logprobs", false);
    request.logprob_start = integer_or(backstage, body, "logprob_start_len", -1);
    request.top_count = integer_or(backstage, body, "top_logprobs_num", 0);
    const Json wanted = body.value("token_ids_logprob", Json());
    if (!wanted.is_null()) {
        request.wanted = read_tokens(backstage, wanted);
    }
    return request;
}

}  // namespace

Answer sglang_generate(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    Generate request = read_generate(backstage, body);
    if (request.limits.max_tokens < 0) {
        throw refusal(Flavour::sglang, 400, "max_new_tokens must be at least 0");
    }
    accept_prompts(backstage, call, request.limits.max_tokens, request.prompts, answer.work);
    Json replies = Json::array();
    for (const Prompt& prompt : request.prompts) {
        replies.push_back(reply_to(backstage, request, prompt, answer.work, reply_id("", call)));
    }
    answer.body = request.is_list ? std::move(replies) : std::move(replies.front());
    return answer;
}

}  // namespace fake_llm
