// /v1/completions of vLLM, and of servers that imitate it more or less.

#include <algorithm>

#include <fmt/format.h>

#include "dialects.hpp"
#include "json_text.hpp"

namespace fake_llm {
namespace {

constexpr double kLowest = -9999.0;  // vLLM's stand-in for minus infinity

struct Completions {
    std::vector<Prompt> prompts;
    GenerateLimits limits;
    int n = 1;
    bool echo = false;
    std::optional<int> logprobs;
    std::optional<int> prompt_logprobs;
    bool return_token_ids = false;
    bool tokens_as_ids = false;
};

/// A token in "logprobs"; without a value for a prompt's first one.
struct Entry {
    ScoredToken scored;
    bool has_value = true;
};

Refusal bad(const Backstage& backstage, const std::string& message) {
    return refusal(backstage.options.flavour, 400, message);
}

void check_completions(const Backstage& backstage, const Json& body, const Completions& request) {
    if (flag_or(backstage, body, "stream", false)) {
        throw bad(backstage, "stream: this server does not stream");
    }
    if (request.limits.max_tokens < (request.echo ? 0 : 1) &&
        backstage.options.flavour != Flavour::sglang) {
        throw bad(backstage,
                  fmt::format("max_tokens must be at least 1, got {}.", request.limits.max_tokens));
    }
    if (request.n < 1 || request.n > 1024) {
        throw bad(backstage, fmt::format("n must be at least 1, got {}.", request.n));
    }
    if (request.logprobs.value_or(0) < -1 || request.prompt_logprobs.value_or(0) < -1) {
        throw bad(backstage, "`logprobs` must be a positive value or -1.");
    }
}

Completions read_completions(const Backstage& backstage, const Call& call, Work& work) {
    const Json body = read_object(backstage, call.body);
    const Flavour flavour = backstage.options.flavour;
    const std::string model = body.value("model", Json()).is_string()
                                  ? body["model"].get<std::string>()
                                  : backstage.options.model;
    if (flavour != Flavour::sglang && model != backstage.options.model) {
        throw refusal(flavour, 404, fmt::format("The model `{}` does not exist.", model));
    }
    Completions request;
    request.limits = read_limits(backstage, body);
    request.limits.max_tokens = integer_or(backstage, body, "max_tokens", 16);
    request.n = integer_or(backstage, body, "n", 1);
    const bool ignores_echo = flavour == Flavour::echo_ignored || call.ignored_echo;
    request.echo = flag_or(backstage, body, "echo", false) && !ignores_echo;
    if (ignores_echo) {
        request.limits.max_tokens = std::max(request.limits.max_tokens, 1);
    }
    request.logprobs = optional_integer(backstage, body, "logprobs");
    request.prompt_logprobs = optional_integer(backstage, body, "prompt_logprobs");
    request.return_token_ids = flag_or(backstage, body, "return_token_ids", false);
    request.tokens_as_ids = flag_or(backstage, body, "return_tokens_as_token_ids", false);
    check_completions(backstage, body, request);
    request.prompts = read_prompts(backstage, body.value("prompt", Json()),
                                   flag_or(backstage, body, "add_special_tokens", true));
    accept_prompts(backstage, call, request.limits.max_tokens, request.prompts, work);
    return request;
}

/// In quotes.
std::string token_name(const Backstage& backstage, const Completions& request, Token token) {
    return request.tokens_as_ids ? fmt::format("\"token_id:{}\"", token)
                                 : backstage.language.tokenizer().quoted_piece(token);
}

double clamped(const Backstage& backstage, double log_prob) {
    if (log_prob < kLowest && backstage.options.flavour == Flavour::sglang) {
        throw refusal(Flavour::sglang, 500,
                      "Out of range float values are not JSON compliant: -inf");
    }
    return std::max(log_prob, kLowest);
}

/// The token itself, then the best ones: up to `count` + 1 names.
void write_top_names(const Backstage& backstage,
                     const Completions& request,
                     const ScoredToken& scored,
                     std::string& out) {
    const int count = *request.logprobs < 0 ? kVocabulary : *request.logprobs;
    out += '{';
    out += token_name(backstage, request, scored.token);
    out += ':';
    append_number(out, clamped(backstage, scored.log_prob));
    if (count > 0) {
        for (const RankedToken& one : backstage.language.model().top(scored.before, count)) {
            if (one.token != scored.token) {
                out += ',';
                out += token_name(backstage, request, one.token);
                out += ':';
                append_number(out, std::max(one.log_prob, kLowest));
            }
        }
    }
    out += '}';
}

void write_logprobs(const Backstage& backstage,
                    const Completions& request,
                    const std::vector<Entry>& entries,
                    std::string& out) {
    std::int64_t offset = 0;
    out += R"({"text_offset":)";
    append_list(out, entries, [&](const Entry& entry) {
        append_number(out, backstage.options.flavour == Flavour::sglang ? -1 : offset);
        // Merged pieces are ASCII, other tokens one byte.
        offset +=
            request.tokens_as_ids
                ? static_cast<std::int64_t>(fmt::formatted_size("token_id:{}", entry.scored.token))
                : static_cast<std::int64_t>(
                      backstage.language.tokenizer().piece(entry.scored.token).size());
    });
    out += R"(,"token_logprobs":)";
    append_list(out, entries, [&](const Entry& entry) {
        if (entry.has_value) {
            append_number(out, clamped(backstage, entry.scored.log_prob));
        } else {
            out += "null";
        }
    });
    out += R"(,"tokens":)";
    append_list(out, entries, [&](const Entry& entry) {
        out += token_name(backstage, request, entry.scored.token);
    });
    out += R"(,"top_logprobs":)";
    append_list(out, entries, [&](const Entry& entry) {
        if (entry.has_value) {
            write_top_names(backstage, request, entry.scored, out);
        } else {
            out += "null";
        }
    });
    out += '}';
}

/// By token id; a token that is among the best and in the prompt as well comes once.
void write_prompt_logprobs(const Backstage& backstage,
                           const std::vector<ScoredToken>& scored,
                           int count,
                           std::string& out) {
    const Model& model = backstage.language.model();
    out += "[null";
    for (std::size_t i = 1; i < scored.size(); ++i) {
        const char* separator = ",{";
        const auto add = [&](Token token, double log_prob) {
            out += separator;
            separator = ",";
            out += '"';
            append_number(out, std::int64_t{token});
            out += R"(":{"decoded_token":)";
            out += backstage.language.tokenizer().quoted_piece(token);
            out += R"(,"logprob":)";
            append_number(out, std::max(log_prob, kLowest));
            out += R"(,"rank":)";
            append_number(out, std::int64_t{model.rank(scored[i].before, token)});
            out += '}';
        };
        for (const RankedToken& one :
             model.top(scored[i].before, count < 0 ? kVocabulary : count)) {
            if (one.token != scored[i].token) {
                add(one.token, one.log_prob);
            }
        }
        add(scored[i].token, scored[i].log_prob);
        out += '}';
    }
    out += ']';
}

void write_ids(const std::vector<Token>& ids, std::string& out) {
    append_list(out, ids, [&](Token id) { append_number(out, std::int64_t{id}); });
}

/// The prompt's scores as the flavour gives them: "shifted" gives each token the value that it would have
/// after itself.
std::vector<ScoredToken> prompt_scores(const Backstage& backstage,
                                       const Call& call,
                                       const Prompt& prompt) {
    std::vector<ScoredToken> scored = backstage.language.score(prompt.tokens);
    if (backstage.options.flavour == Flavour::shifted || call.shifted) {
        for (ScoredToken& one : scored) {
            one.before = one.before.after(one.token);
            one.log_prob = backstage.language.model().log_prob(one.before, one.token);
        }
    }
    return scored;
}

void write_choice(const Backstage& backstage,
                  const Completions& request,
                  const Prompt& prompt,
                  const std::vector<ScoredToken>& scored,
                  const Generated& generated,
                  std::int64_t index,
                  std::string& out) {
    const bool only_prompt = request.limits.max_tokens == 0;
    std::vector<Entry> entries;
    std::string text = only_prompt ? "" : generated.text;
    if (request.echo) {
        for (std::size_t i = 0; i < scored.size(); ++i) {
            entries.push_back({scored[i], i > 0});
        }
        text = (request.return_token_ids ? "" : prompt.text) + text;
    }
    std::vector<Token> ids;
    for (const ScoredToken& one : generated.tokens) {
        ids.push_back(one.token);
        if (!only_prompt) {
            entries.push_back({one, true});
        }
    }
    out += fmt::format(R"({{"finish_reason":"{}","index":{},"logprobs":)",
                       finish_name(generated.finish), index);
    if (request.logprobs) {
        write_logprobs(backstage, request, entries, out);
    } else {
        out += "null";
    }
    if (backstage.options.flavour == Flavour::sglang) {
        out += R"(,"matched_stop":null)";
    } else {
        const std::optional<int> wanted =
            request.prompt_logprobs || !request.echo ? request.prompt_logprobs : request.logprobs;
        out += R"(,"prompt_logprobs":)";
        if (wanted) {
            write_prompt_logprobs(backstage, scored, *wanted, out);
        } else {
            out += "null";
        }
        out += R"(,"stop_reason":)";
        out += generated.finish == Finish::stop ? json_quoted(generated.stopped_by) : "null";
        if (request.return_token_ids) {
            out += R"(,"prompt_token_ids":)";
            write_ids(prompt.tokens, out);
            out += R"(,"token_ids":)";
            write_ids(ids, out);
        } else {
            out += R"(,"prompt_token_ids":null,"token_ids":null)";
        }
    }
    out += R"(,"text":)";
    out += json_quoted(text);
    out += '}';
}

}  // namespace

Json usage(std::int64_t prompt_tokens, std::int64_t completion_tokens) {
    return {{"prompt_tokens", prompt_tokens},
            {"completion_tokens", completion_tokens},
            {"total_tokens", prompt_tokens + completion_tokens}};
}

Answer openai_completions(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Completions request = read_completions(backstage, call, answer.work);
    const bool sglang = backstage.options.flavour == Flavour::sglang;
    std::int64_t index = 0;
    std::string choices;
    for (const Prompt& prompt : request.prompts) {
        std::vector<ScoredToken> scored;
        if (request.echo || request.prompt_logprobs) {
            scored = prompt_scores(backstage, call, prompt);
        }
        for (int sample = 0; sample < request.n; ++sample) {
            GenerateLimits limits = request.limits;
            limits.sampling.seed += static_cast<std::uint64_t>(sample);
            if (!sglang) {
                limits.max_tokens = std::max(limits.max_tokens, 1);  // vLLM's engine draws one
            }
            const Generated generated = backstage.language.generate(prompt.tokens, limits);
            choices += index > 0 ? "," : "";
            write_choice(backstage, request, prompt, scored, generated, index++, choices);
            answer.work.completion_tokens += static_cast<std::int64_t>(generated.tokens.size());
        }
    }
    Json rest{{"id", reply_id("cmpl-", call)},
              {"object", "text_completion"},
              {"created", kCreated},
              {"model", backstage.options.model},
              {"usage", usage(answer.work.prompt_tokens, answer.work.completion_tokens)}};
    rest["usage"]["prompt_tokens_details"] = nullptr;
    if (!sglang) {
        rest["service_tier"] = nullptr;
        rest["system_fingerprint"] = nullptr;
        rest["kv_transfer_params"] = nullptr;
    }
    answer.text = fmt::format(R"({{"choices":[{}],{})", choices, rest.dump().substr(1));
    return answer;
}

}  // namespace fake_llm
