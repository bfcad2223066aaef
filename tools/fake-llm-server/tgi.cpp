// text-generation-inference: /generate with the prefill's details, /v1/completions without echo.

#include "dialects.hpp"

namespace fake_llm {
namespace {

constexpr int kDefaultNewTokens = 100;

Json token_entry(const Backstage& backstage, const ScoredToken& scored, bool has_value) {
    return {{"id", scored.token},
            {"text", backstage.language.tokenizer().piece(scored.token)},
            {"logprob", has_value ? finite_or_null(scored.log_prob) : Json()}};
}

const char* finish_reason(Finish finish) {
    switch (finish) {
        case Finish::length:
            return "length";
        case Finish::end:
            return "eos_token";
        case Finish::stop:
            break;
    }
    return "stop_sequence";
}

Json details(const Backstage& backstage,
             const Generated& generated,
             const std::vector<ScoredToken>& prefill,
             const Json& seed) {
    Json tokens = Json::array();
    for (const ScoredToken& one : generated.tokens) {
        tokens.push_back(token_entry(backstage, one, true));
        tokens.back()["special"] = is_special(one.token);
    }
    Json prompt = Json::array();
    for (const ScoredToken& one : prefill) {
        prompt.push_back(token_entry(backstage, one, !prompt.empty()));
    }
    return {{"finish_reason", finish_reason(generated.finish)},
            {"generated_tokens", generated.tokens.size()},
            {"seed", seed},
            {"prefill", std::move(prompt)},
            {"tokens", std::move(tokens)}};
}

GenerateLimits read_parameters(const Backstage& backstage, const Json& parameters) {
    GenerateLimits limits = read_limits(backstage, parameters);
    limits.max_tokens = integer_or(backstage, parameters, "max_new_tokens", kDefaultNewTokens);
    if (limits.max_tokens < 1) {
        throw refusal(Flavour::tgi, 422,
                      "Input validation error: `max_new_tokens` must be strictly positive");
    }
    check_tgi_top_p(parameters);
    if (!flag_or(backstage, parameters, "do_sample", parameters.contains("temperature"))) {
        limits.sampling.temperature = 0.0;
    }
    return limits;
}

}  // namespace

void check_tgi_top_p(const Json& parameters) {
    const Json top_p = parameters.value("top_p", Json());
    if (top_p.is_number() && top_p.get<double>() >= 1.0) {
        throw refusal(Flavour::tgi, 422, "Input validation error: `top_p` must be > 0.0 and < 1.0");
    }
}

Answer tgi_generate(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    const Json inputs = body.value("inputs", Json());
    const Json parameters = body.value("parameters", Json::object());
    if (!inputs.is_string() || !parameters.is_object()) {
        throw refusal(Flavour::tgi, 422,
                      "Failed to deserialize the JSON body into the target type");
    }
    const GenerateLimits limits = read_parameters(backstage, parameters);
    std::vector<Prompt> prompts = read_prompts(backstage, inputs, true);
    accept_prompts(backstage, call, limits.max_tokens, prompts, answer.work);
    const Prompt& prompt = prompts.front();
    const Generated generated = backstage.language.generate(prompt.tokens, limits);
    answer.work.completion_tokens = static_cast<std::int64_t>(generated.tokens.size());
    answer.body = {{"generated_text", generated.text}};
    const bool asks_prefill = flag_or(backstage, parameters, "decoder_input_details", false);
    if (flag_or(backstage, parameters, "details", false) || asks_prefill) {
        std::vector<ScoredToken> prefill;
        if (asks_prefill && backstage.options.prefill_logprobs) {
            prefill = backstage.language.score(prompt.tokens);
        }
        answer.body["details"] =
            details(backstage, generated, prefill, parameters.value("seed", Json()));
    }
    return answer;
}

Answer tgi_completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    std::vector<Prompt> prompts = read_prompts(backstage, body.value("prompt", Json()), true);
    GenerateLimits limits = read_limits(backstage, body);
    limits.max_tokens = integer_or(backstage, body, "max_tokens", kDefaultNewTokens);
    if (limits.max_tokens < 1) {
        throw refusal(Flavour::tgi, 422,
                      "Input validation error: `max_new_tokens` must be strictly positive");
    }
    accept_prompts(backstage, call, limits.max_tokens, prompts, answer.work);
    Json choices = Json::array();
    for (const Prompt& prompt : prompts) {
        const Generated generated = backstage.language.generate(prompt.tokens, limits);
        answer.work.completion_tokens += static_cast<std::int64_t>(generated.tokens.size());
        choices.push_back({{"index", choices.size()},
                           {"text", generated.text},
                           {"logprobs", nullptr},
                           {"finish_reason", finish_reason(generated.finish)}});
    }
    answer.body = {{"id", ""},
                   {"object", "text_completion"},
                   {"created", kCreated},
                   {"model", backstage.options.model},
                   {"system_fingerprint", "3.3.6-native"},
                   {"choices", std::move(choices)},
                   {"usage", usage(answer.work.prompt_tokens, answer.work.completion_tokens)}};
    return answer;
}

Answer tgi_info(const Backstage& backstage) {
    const Options& options = backstage.options;
    return {200,
            {{"model_id", options.model},
             {"model_sha", nullptr},
             {"model_pipeline_tag", "text-generation"},
             {"max_concurrent_requests", 128},
             {"max_best_of", 2},
             {"max_stop_sequences", 4},
             {"max_input_tokens", options.max_context - 1},
             {"max_total_tokens", options.max_context},
             {"validation_workers", 2},
             {"max_client_batch_size", 4},
             {"router", "text-generation-router"},
             {"version", "3.3.6"},
             {"sha", nullptr},
             {"docker_label", nullptr}},
            {}};
}

}  // namespace fake_llm
