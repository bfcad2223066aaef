// /v1/completions of llama-cpp-python's server, with its way of aligning tokens and scores.

#include <algorithm>

#include <fmt/format.h>

#include "dialects.hpp"

namespace fake_llm {
namespace {

struct Run {
    const Prompt& prompt;
    const Generated& generated;
    bool echo;
    int logprobs;
};

/// Row i is the distribution after token i of prompt and continuation; the last token drawn has none. With
/// echo the begin token is dropped from the tokens, but never its row: without one, each token gets the
/// value that belongs to the token after it, and the last token none.
Json logprobs_object(const Backstage& backstage, const Run& run) {
    const Language& language = backstage.language;
    std::vector<Token> all = run.prompt.tokens;
    for (const ScoredToken& one : run.generated.tokens) {
        if (one.token != kEnd) {
            all.push_back(one.token);
        }
    }
    const std::size_t prompt_size = run.prompt.tokens.size();
    const std::size_t rows = prompt_size + run.generated.tokens.size() - 1;
    const std::size_t first = run.echo ? (all.front() == kBegin ? 1U : 0U) : prompt_size;
    std::size_t row = run.echo ? 0 : prompt_size - 1;
    State state = State{}.after(std::span(all).first(row));
    std::size_t offset = run.echo ? 0 : run.prompt.text.size();
    Json offsets = Json::array();
    Json values = Json::array();
    Json names = Json::array();
    Json tops = Json::array();
    for (std::size_t i = first; i < all.size() && row < rows; ++i, ++row) {
        state = state.after(all[row]);
        const std::string& piece = language.tokenizer().piece(all[i]);
        const double value = language.model().log_prob(state, all[i]);
        Json top = Json::object();
        for (const RankedToken& one : language.model().top(state, run.logprobs)) {
            top[language.tokenizer().piece(one.token)] = finite_or_null(one.log_prob);
        }
        top[piece] = finite_or_null(value);
        const bool is_null = run.echo && i == first;
        offsets.push_back(offset);
        offset += piece.size();
        values.push_back(is_null ? Json() : finite_or_null(value));
        tops.push_back(is_null ? Json() : std::move(top));
        names.push_back(piece);
    }
    return {{"text_offset", std::move(offsets)},
            {"token_logprobs", std::move(values)},
            {"tokens", std::move(names)},
            {"top_logprobs", std::move(tops)}};
}

Prompt read_prompt(const Backstage& backstage, const Json& value) {
    const Flavour flavour = backstage.options.flavour;
    const bool list = value.is_array();
    if (list && value.size() > 1 && value.front().is_string()) {
        throw refusal(flavour, 500, "");  // its assertion has no message
    }
    const Json text = list && !value.empty() ? value.front() : value;
    if (!text.is_string()) {
        throw refusal(flavour, 500, "[{'type': 'string_type', 'loc': ('body', 'prompt')}]");
    }
    return read_prompts(backstage, text, true).front();
}

}  // namespace

Answer llama_cpp_python_completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Flavour flavour = backstage.options.flavour;
    const Json body = read_object(backstage, call.body);
    std::vector<Prompt> prompts{read_prompt(backstage, body.value("prompt", Json()))};
    const Prompt& prompt = prompts.front();
    if (prompt.tokens.empty()) {
        throw refusal(flavour, 500, "list index out of range");
    }
    const std::optional<int> logprobs = optional_integer(backstage, body, "logprobs");
    if (logprobs && !backstage.options.logits_all) {
        throw refusal(flavour, 500,
                      "logprobs is not supported for models created with logits_all=False");
    }
    accept_prompts(backstage, call, 0, prompts, answer.work);
    const int room = backstage.options.max_context - static_cast<int>(prompt.tokens.size());
    GenerateLimits limits = read_limits(backstage, body);
    limits.max_tokens = integer_or(backstage, body, "max_tokens", 16);
    limits.max_tokens = limits.max_tokens <= 0 ? room : std::min(limits.max_tokens, room);
    limits.max_tokens = std::max(limits.max_tokens, 1);
    const Generated generated = backstage.language.generate(prompt.tokens, limits);
    const bool echo = flag_or(backstage, body, "echo", false);
    const auto drawn = static_cast<std::int64_t>(generated.tokens.size()) -
                       (generated.finish == Finish::end ? 1 : 0);
    answer.work.completion_tokens = drawn;
    Json choice{{"text", (echo ? prompt.text : "") + generated.text},
                {"index", 0},
                {"logprobs", nullptr},
                {"finish_reason", finish_name(generated.finish)}};
    if (logprobs) {
        choice["logprobs"] =
            logprobs_object(backstage, {prompt, generated, echo, std::max(*logprobs, 0)});
    }
    answer.body = {{"id", reply_id("cmpl-", call)},
                   {"object", "text_completion"},
                   {"created", kCreated},
                   {"model", backstage.options.model},
                   {"choices", Json::array({std::move(choice)})},
                   {"usage", usage(answer.work.prompt_tokens, drawn)}};
    return answer;
}

}  // namespace fake_llm
