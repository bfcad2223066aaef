// SGLang's /generate: log-probabilities from any place of the prompt on, so that what stands before the
// target stays in the server's prefix cache. The entry at that place is always null, since the logits
// before it are not computed: asking begins one token before the target. Without a tokeniser (older
// servers) the whole prompt is scored, which costs the cache.

#include "llm/http/dialects.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/prompt_tokeniser.hpp"
#include "llm/http/score_exchange.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

std::size_t first_asked(const EchoPrompt& prompt) {
    return prompt.first_wanted == 0 ? 0 : prompt.first_wanted - 1;
}

class SglangEcho final : public EchoWire {
  public:
    std::size_t prompts_a_call(const ServerFacts& server) const override {
        return server.prompts_a_call;
    }
    // They all begin to be asked at the same place, and share the context in the cache.
    bool one_item_a_call() const override { return true; }

    Call score(const ServerFacts& /*server*/, std::span<const EchoPrompt> prompts) const override {
        Json body{{"return_logprob", true},
                  {"logprob_start_len", first_asked(prompts.front())},
                  {"return_text_in_logprobs", true},
                  {"sampling_params", {{"max_new_tokens", 0}, {"temperature", 0.0}}}};
        const bool as_tokens = !prompts.front().tokens.empty();
        const auto one = [&](const EchoPrompt& prompt) {
            return as_tokens ? Json(prompt.tokens) : Json(prompt.text);
        };
        Json& field = body[as_tokens ? "input_ids" : "text"];
        if (prompts.size() == 1) {
            field = one(prompts.front());
        } else {
            for (const EchoPrompt& prompt : prompts) field.push_back(one(prompt));
        }
        return {.path = "/generate", .body = body_of(body)};
    }

    EchoReply read(const Json& reply, std::span<const EchoPrompt> prompts) const override {
        EchoReply result{.counted = {.prompt = 0, .completion = 0}};
        const bool is_list = reply.is_array();
        if ((is_list ? reply.size() : 1) != prompts.size()) {
            return {.kind = Verdict::Kind::malformed,
                    .reason = "the reply has not one entry for each prompt"};
        }
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            Echo echo{.place = first_asked(prompts[i])};
            const Json* meta = member(is_list ? reply[i] : reply, "meta_info");
            result.reason = read_meta(meta, echo);
            if (!result.reason.empty()) {
                result.kind = Verdict::Kind::malformed;
                return result;
            }
            result.echoes.push_back(std::move(echo));
            add(meta, result.counted);
        }
        return result;
    }

  private:
    static std::string read_meta(const Json* meta, Echo& echo) {
        if (meta == nullptr || !meta->is_object()) return "no meta_info in the reply";
        const Json* finish = member(meta, "finish_reason");
        if (const std::string* type = text_of(member(finish, "type")); type && *type == "abort") {
            return "the server aborted this: " + server_words(body_of(*finish));
        }
        const Json* entries = member(meta, "input_token_logprobs");
        if (entries == nullptr || entries->is_null()) return {};
        if (!entries->is_array()) return "input_token_logprobs is no list";
        bool has_texts = true;
        for (const Json& entry : *entries) {
            if (!entry.is_array() || entry.size() < 2) return "an entry without value and token id";
            const auto id = token_id(&entry[1]);
            if (!id) return "an entry without value and token id";
            echo.values.push_back(&entry[0]);
            echo.ids.push_back(*id);
            const std::string* text = entry.size() > 2 ? text_of(&entry[2]) : nullptr;
            has_texts = has_texts && text != nullptr;
            echo.texts.push_back(text == nullptr ? std::string() : *text);
        }
        if (!has_texts) echo.texts.clear();
        return {};
    }

    static void add(const Json* meta, CountedTokens& counted) {
        const auto prompt = token_count(member(meta, "prompt_tokens"));
        if (prompt && counted.prompt) {
            *counted.prompt += *prompt;
        } else {
            counted.prompt = std::nullopt;
        }
        *counted.completion += token_count(member(meta, "completion_tokens")).value_or(0);
        counted.cached += token_count(member(meta, "cached_tokens")).value_or(0);
    }
};

class SglangDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "sglang"; }
    bool can_score() const noexcept override { return true; }
    bool can_generate() const noexcept override { return true; }
    std::unique_ptr<Exchange> score(const ServerFacts& server,
                                    ScoreRequest request) const override {
        return make_echo_exchange(echo_, &tokeniser_, server, std::move(request));
    }
    // Over the OpenAI path: older versions refuse a seed in /generate, and ignore it there.
    std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                       GenerateRequest request) const override {
        return make_write_exchange(writer_, nullptr, server, std::move(request));
    }
    std::vector<Call> describe() const override {
        return {{.path = "/v1/models"}, ask_for_tokenise(), ask_for_rendering()};
    }
    std::string learn(std::size_t index,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        if (index == 0) return learn_models(status, body, server);
        if (index == 1) learn_tokenise(status, body, server);
        if (index == 2) learn_rendering(status, body, server);
        return {};
    }
    RequestManner manner(const ServerFacts& server) const override {
        RequestManner manner = echo_manner(server, true);
        manner.drawn_a_score = 0.0;
        manner.recalls_scores = true;  // a list has the targets of one item
        return manner;
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
    SglangEcho echo_;
    PromptTokeniser tokeniser_{false};
    CompletionsWriter writer_{{.lists = true}};
};

}  // namespace

std::unique_ptr<Dialect> make_sglang_dialect() { return std::make_unique<SglangDialect>(); }

}  // namespace dln::http
