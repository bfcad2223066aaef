// /v1/completions of Together: an echoed prompt comes as "prompt", beside the choices.

#include "dialects.hpp"

namespace fake_llm {
namespace {

Json logprobs_object(const Backstage& backstage,
                     const std::vector<ScoredToken>& tokens,
                     bool first_has_value) {
    Json names = Json::array();
    Json values = Json::array();
    Json ids = Json::array();
    for (const ScoredToken& one : tokens) {
        names.push_back(backstage.language.tokenizer().piece(one.token));
        values.push_back(ids.empty() && !first_has_value ? Json() : finite_or_null(one.log_prob));
        ids.push_back(one.token);
    }
    return {{"tokens", std::move(names)},
            {"token_logprobs", std::move(values)},
            {"token_ids", std::move(ids)}};
}

}  // namespace

Answer together_completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    const Json text = body.value("prompt", Json());
    if (!text.is_string()) {
        throw refusal(Flavour::together, 400, "prompt: expected a text");
    }
    std::vector<Prompt> prompts = read_prompts(backstage, text, true);
    GenerateLimits limits = read_limits(backstage, body);
    limits.max_tokens = integer_or(backstage, body, "max_tokens", 16);
    if (limits.max_tokens < 0) {
        throw refusal(Flavour::together, 400, "max_tokens: expected at least 0");
    }
    accept_prompts(backstage, call, limits.max_tokens, prompts, answer.work);
    const bool logprobs = integer_or(backstage, body, "logprobs", 0) > 0;
    const Prompt& prompt = prompts.front();
    const Generated generated = backstage.language.generate(prompt.tokens, limits);
    answer.work.completion_tokens = static_cast<std::int64_t>(generated.tokens.size());
    Json choice{
        {"index", 0},
        {"text", generated.text},
        {"seed", limits.sampling.seed},
        {"finish_reason", generated.finish == Finish::end ? "eos" : finish_name(generated.finish)},
        {"logprobs", nullptr}};
    if (logprobs) {
        choice["logprobs"] = logprobs_object(backstage, generated.tokens, true);
    }
    Json echoed = Json::array();
    if (flag_or(backstage, body, "echo", false)) {
        Json entry{{"text", prompt.text}, {"logprobs", nullptr}};
        if (logprobs) {
            entry["logprobs"] =
                logprobs_object(backstage, backstage.language.score(prompt.tokens), false);
        }
        echoed.push_back(std::move(entry));
    }
    answer.body = {{"id", reply_id("o", call)},
                   {"object", "text_completion"},
                   {"created", kCreated},
                   {"model", backstage.options.model},
                   {"prompt", std::move(echoed)},
                   {"choices", Json::array({std::move(choice)})},
                   {"usage", usage(answer.work.prompt_tokens, answer.work.completion_tokens)}};
    return answer;
}

}  // namespace fake_llm
