// /v1/completions with echo and log-probabilities. Three ways, by what the server has:
//   - it tokenises and takes token ids (vLLM): ids are sent, and each returned entry names its id;
//   - it tokenises only (llama-cpp-python): texts are sent, and the number of tokens is known;
//   - neither: texts are sent, the context alone as well, and tokens are told by their texts.

#include <charconv>

#include "dln/text/utf8.hpp"

#include "llm/http/dialects.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/prompt_tokeniser.hpp"
#include "llm/http/score_exchange.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

/// The ids of entries that are all like "token_id:123".
std::vector<TokenId> ids_in_texts(const std::vector<std::string>& texts) {
    constexpr std::string_view kPrefix = "token_id:";
    std::vector<TokenId> ids;
    for (const std::string& text : texts) {
        if (!text.starts_with(kPrefix)) return {};
        const char* begin = text.data() + kPrefix.size();
        const char* end = text.data() + text.size();
        TokenId id = 0;
        const auto [stopped, error] = std::from_chars(begin, end, id);
        if (error != std::errc() || stopped != end || id < 0) return {};
        ids.push_back(id);
    }
    return ids;
}

class OpenAiEcho final : public EchoWire {
  public:
    std::size_t prompts_a_call(const ServerFacts& server) const override {
        return server.prompts_a_call;
    }
    bool names_tokens_of_texts(const ServerFacts& server) const override {
        return server.takes_tokens;
    }

    Call score(const ServerFacts& server, std::span<const EchoPrompt> prompts) const override {
        // max_tokens 0 would do for vLLM, and means "without end" to llama-cpp-python.
        // 0 makes vLLM's replies shorter (no other tokens than those sent); others take it for "none".
        const int log_probs = server.software.starts_with("vllm") ? 0 : 1;
        Json body{{"model", server.model}, {"echo", true},       {"logprobs", log_probs},
                  {"max_tokens", 1},       {"temperature", 0.0}, {"top_p", 1.0}};
        add_neutral_sampling(body);
        const bool as_tokens = !prompts.front().tokens.empty() && server.takes_tokens;
        if (server.can_tokenise && server.takes_tokens) {
            body["return_token_ids"] = true;
            body["return_tokens_as_token_ids"] = true;
        }
        if (prompts.size() == 1) {
            body["prompt"] = as_tokens ? Json(prompts[0].tokens) : Json(prompts[0].text);
        } else {
            Json& list = body["prompt"] = Json::array();
            for (const EchoPrompt& prompt : prompts) {
                list.push_back(as_tokens ? Json(prompt.tokens) : Json(prompt.text));
            }
        }
        return {.path = "/v1/completions", .body = body_of(body)};
    }

    EchoReply read(const Json& reply, std::span<const EchoPrompt> prompts) const override {
        const auto choices = choices_in_order(reply, prompts.size());
        if (!choices) return {.kind = Verdict::Kind::malformed, .reason = kBadChoices};
        EchoReply result{.counted = counted_usage(reply)};
        for (const Json* choice : *choices) {
            result.echoes.emplace_back();
            result.reason = read_choice(*choice, result.echoes.back());
            if (!result.reason.empty()) {
                result.kind = Verdict::Kind::malformed;
                return result;
            }
        }
        return result;
    }

  private:
    // Returns what is malformed. A choice without log-probabilities is an echo without entries.
    static std::string read_choice(const Json& choice, Echo& echo) {
        const Json* log_probs = member(choice, "logprobs");
        if (log_probs == nullptr || log_probs->is_null()) return {};
        const Json* values = member(log_probs, "token_logprobs");
        const Json* tokens = member(log_probs, "tokens");
        // llama-server's own shape, for what it generated.
        if (member(log_probs, "content") != nullptr && values == nullptr) return {};
        if (values == nullptr || !values->is_array() || tokens == nullptr || !tokens->is_array()) {
            return "logprobs without tokens and token_logprobs";
        }
        if (values->size() != tokens->size()) return "tokens and token_logprobs differ in length";
        for (const Json& value : *values) echo.values.push_back(&value);
        for (const Json& token : *tokens) {
            const std::string* text = text_of(&token);
            if (text == nullptr) return "a token that is no text";
            echo.texts.push_back(*text);
        }
        echo.ids = ids_in_texts(echo.texts);
        const Json* named = member(choice, "prompt_token_ids");
        if (named == nullptr || named->is_null()) return {};
        const auto ids = token_list(named);
        if (!ids) return "prompt_token_ids that are no token ids";
        if (echo.ids.empty()) {
            echo.ids = *ids;
        } else if (ids->size() <= echo.ids.size() &&
                   !std::equal(ids->begin(), ids->end(), echo.ids.begin())) {
            // Fewer entries than tokens sent are the business of check_echo: it may be an ignored echo.
            return "prompt_token_ids and tokens contradict each other";
        }
        return {};
    }
};

class OpenAiDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "openai"; }
    bool can_score() const noexcept override { return true; }
    bool can_generate() const noexcept override { return true; }

    std::unique_ptr<Exchange> score(const ServerFacts& server,
                                    ScoreRequest request) const override {
        return make_echo_exchange(echo_, &tokeniser_, server, std::move(request));
    }
    std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                       GenerateRequest request) const override {
        return make_write_exchange(writer_, nullptr, server, std::move(request));
    }

    std::vector<Call> describe() const override {
        return {{.path = "/v1/models"},
                ask_for_tokenise(),
                {.path = "/extras/tokenize", .body = body_of({{"input", "a"}})},
                {.path = "/version"}};
    }
    std::string learn(std::size_t index,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        if (index == 0) return learn_models(status, body, server);
        if (index == 3) {
            if (status == 200) learn_version(body, server);
            return {};
        }
        ServerFacts tried;
        learn_tokenise(status, body, tried);
        if (!tried.can_tokenise || server.can_tokenise) return {};
        server.can_tokenise = true;
        server.takes_tokens = index == 1;
        // vLLM's list of models has no length for an adapter. SGLang says another length here: the
        // tokeniser's own, which may be anything.
        if (server.context_tokens == 0 && server.software == "vllm") {
            learn_context_tokens(member(parse_reply(body).value, "max_model_len"), server);
        }
        // llama-cpp-python answers a list of prompts with HTTP 500.
        if (!server.takes_tokens) server.prompts_a_call = 1;
        return {};
    }

    RequestManner manner(const ServerFacts& server) const override {
        return echo_manner(server, true);
    }
    std::optional<Call> count_tokens(const ServerFacts& server,
                                     const Context& context) const override {
        if (!server.can_tokenise) return std::nullopt;
        if (!context.chat) return tokeniser_.tokenise(server, context.text, false);
        if (!tokeniser_.why_no_chat(server).empty()) return std::nullopt;
        return tokeniser_.render(server, context.text, {});
    }
    std::optional<int> counted_tokens(std::string_view body) const override {
        return tokeniser_.count(parse_reply(body).value);
    }

  private:
    static void learn_version(std::string_view body, ServerFacts& server) {
        const ParsedReply parsed = parse_reply(body);
        const std::string* version = text_of(member(parsed.value, "version"));
        if (version != nullptr && server.software == "vllm") {
            server.software += " " + printable(*version, 40);
        }
    }

    OpenAiEcho echo_;
    PromptTokeniser tokeniser_{true};
    CompletionsWriter writer_{{.lists = true}};
};

}  // namespace

std::unique_ptr<Dialect> make_openai_dialect() { return std::make_unique<OpenAiDialect>(); }

}  // namespace dln::http
