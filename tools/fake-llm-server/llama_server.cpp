// llama.cpp's llama-server: generated tokens only. `echo` is ignored; a client scores by forcing one token
// after the other with logit_bias, and reads the log-probability that the token has without the bias.

#include <algorithm>

#include "dialects.hpp"

namespace fake_llm {

struct LlamaServer::Run {
    Generated generated;
    int n_probs = 0;
    bool with_probs = false;
    int slot = 0;
    std::size_t reused = 0;
};

namespace {

constexpr double kForcing = 50.0;  // a bias that no other token can outweigh

struct Bias {
    Token token;
    double value;
};

/// [[id, bias], ...] or {"id": bias, ...}; the largest bias.
std::optional<Bias> largest_bias(const Backstage& backstage, const Json& body) {
    const Json biases = body.value("logit_bias", Json());
    std::optional<Bias> largest;
    const auto consider = [&](const Json& id, const Json& value) {
        const Token token = read_tokens(backstage, Json::array({id})).front();
        if (value.is_number() && (!largest || value.get<double>() > largest->value)) {
            largest = Bias{token, value.get<double>()};
        }
    };
    if (biases.is_object()) {
        for (const auto& [id, value] : biases.items()) {
            consider(Json::parse(id, nullptr, false), value);
        }
    }
    if (biases.is_array()) {
        for (const Json& pair : biases) {
            if (pair.is_array() && pair.size() == 2) {
                consider(pair[0], pair[1]);
            }
        }
    }
    return largest;
}

Generated forced(const Backstage& backstage, const Prompt& prompt, Token token) {
    Generated generated;
    generated.tokens.push_back(backstage.language.score_next(prompt.tokens, token));
    generated.finish = token == kEnd ? Finish::end : Finish::length;
    generated.text = is_special(token) ? "" : backstage.language.tokenizer().piece(token);
    return generated;
}

Json content_list(const Backstage& backstage, const Generated& generated, int n_probs) {
    Json content = Json::array();
    for (const ScoredToken& one : generated.tokens) {
        content.push_back(content_entry(backstage, one, n_probs, true));
    }
    return content;
}

int read_max_tokens(const Backstage& backstage, const Json& body) {
    const int n_predict = integer_or(backstage, body, "n_predict", -1);
    return integer_or(backstage, body, "max_tokens", n_predict);
}

Json timings(std::size_t prompt_tokens, std::size_t reused, std::size_t drawn) {
    return {{"cache_n", reused}, {"prompt_n", prompt_tokens - reused}, {"predicted_n", drawn}};
}

/// A negative count is "until the context is full".
void accept(const Backstage& backstage,
            const Call& call,
            std::vector<Prompt>& prompts,
            Work& work) {
    accept_prompts(backstage, call, 1, prompts, work);
    for (const Prompt& prompt : prompts) {
        if (prompt.tokens.empty()) {
            throw refusal(Flavour::llama_server, 400, "the prompt has no tokens");
        }
    }
}

}  // namespace

LlamaServer::Run LlamaServer::run(const Backstage& backstage,
                                  const Json& body,
                                  const Prompt& prompt) {
    Run run;
    GenerateLimits limits = read_limits(backstage, body);
    const int room = backstage.options.max_context - static_cast<int>(prompt.tokens.size());
    const int wanted = read_max_tokens(backstage, body);
    limits.max_tokens = wanted < 0 ? room : std::clamp(wanted, 0, room);
    run.n_probs =
        integer_or(backstage, body, "n_probs", integer_or(backstage, body, "logprobs", 0));
    run.with_probs = run.n_probs > 0;
    run.slot = std::max(integer_or(backstage, body, "id_slot", 0), 0);
    std::vector<Token>& before = slot_tokens_[run.slot];
    if (flag_or(backstage, body, "cache_prompt", true)) {
        const auto common =
            std::mismatch(before.begin(), before.end(), prompt.tokens.begin(), prompt.tokens.end());
        run.reused = std::min(static_cast<std::size_t>(common.first - before.begin()),
                              prompt.tokens.size() - 1);  // the last one is computed again
    }
    before = prompt.tokens;
    const std::optional<Bias> bias = largest_bias(backstage, body);
    run.generated = bias && bias->value >= kForcing && limits.max_tokens == 1
                        ? forced(backstage, prompt, bias->token)
                        : backstage.language.generate(prompt.tokens, limits);
    return run;
}

Answer LlamaServer::completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    std::vector<Prompt> prompts = read_prompts(backstage, body.value("prompt", Json()), true);
    accept(backstage, call, prompts, answer.work);
    Json choices = Json::array();
    for (const Prompt& prompt : prompts) {
        const Run one = run(backstage, body, prompt);
        const std::size_t drawn = one.generated.tokens.size();
        answer.work.completion_tokens += static_cast<std::int64_t>(drawn);
        if (choices.empty()) {  // the first prompt's counts only, as the real one
            const auto size = static_cast<std::int64_t>(prompt.tokens.size());
            answer.body = {{"usage", usage(size, static_cast<std::int64_t>(drawn))},
                           {"timings", timings(prompt.tokens.size(), one.reused, drawn)}};
        }
        choices.push_back({{"index", choices.size()},
                           {"text", one.generated.text},
                           {"logprobs", nullptr},
                           {"finish_reason", finish_name(one.generated.finish)}});
        if (one.with_probs) {
            choices.back()["logprobs"] = {
                {"content", content_list(backstage, one.generated, one.n_probs)}};
        }
    }
    answer.body.update({{"id", reply_id("chatcmpl-", call)},
                        {"object", "text_completion"},
                        {"created", kCreated},
                        {"model", backstage.options.model},
                        {"system_fingerprint", "b6900-fake"},
                        {"choices", std::move(choices)}});
    return answer;
}

Answer LlamaServer::completion(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    const Json value = body.value("prompt", Json());
    std::vector<Prompt> prompts = read_prompts(backstage, value, true);
    accept(backstage, call, prompts, answer.work);
    Json replies = Json::array();
    for (const Prompt& prompt : prompts) {
        const Run one = run(backstage, body, prompt);
        const Generated& generated = one.generated;
        answer.work.completion_tokens += static_cast<std::int64_t>(generated.tokens.size());
        Json ids = Json::array();
        if (flag_or(backstage, body, "return_tokens", false)) {
            for (const ScoredToken& token : generated.tokens) {
                ids.push_back(token.token);
            }
        }
        const char* const stop_type = generated.finish == Finish::length ? "limit"
                                      : generated.finish == Finish::end  ? "eos"
                                                                         : "word";
        replies.push_back(
            {{"index", replies.size()},
             {"content", generated.text},
             {"tokens", std::move(ids)},
             {"id_slot", one.slot},
             {"stop", true},
             {"model", backstage.options.model},
             {"tokens_predicted", generated.tokens.size()},
             {"tokens_evaluated", prompt.tokens.size()},
             {"prompt", prompt.text},
             {"truncated", false},
             {"stop_type", stop_type},
             {"stopping_word", generated.stopped_by},
             {"tokens_cached", prompt.tokens.size() + generated.tokens.size() - 1},
             {"timings", timings(prompt.tokens.size(), one.reused, generated.tokens.size())}});
        if (one.with_probs) {
            replies.back()["completion_probabilities"] =
                content_list(backstage, generated, one.n_probs);
        }
    }
    answer.body = replies.size() == 1 ? std::move(replies.front()) : std::move(replies);
    return answer;
}

Answer LlamaServer::props(const Backstage& backstage) {
    const Options& options = backstage.options;
    return {200,
            {{"default_generation_settings", {{"n_ctx", options.max_context}}},
             {"total_slots", options.slots > 0 ? options.slots : 4},
             {"model_path", options.model},
             {"chat_template", "<|role|>\ncontent\n"},
             {"bos_token", options.adds_begin ? "<s>" : ""},
             {"eos_token", "</s>"}},
            {}};
}

}  // namespace fake_llm
