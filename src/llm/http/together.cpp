// Together: /v1/completions whose echoed scores come in "prompt", beside the choices. One prompt a call, no
// tokeniser: tokens are told by their texts.

#include "llm/http/dialects.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/score_exchange.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

class TogetherEcho final : public EchoWire {
  public:
    std::size_t prompts_a_call(const ServerFacts& /*server*/) const override { return 1; }

    Call score(const ServerFacts& server, std::span<const EchoPrompt> prompts) const override {
        const Json body{{"model", server.model}, {"prompt", prompts.front().text},
                        {"echo", true},          {"logprobs", 1},
                        {"max_tokens", 1},       {"temperature", 0.0},
                        {"top_p", 1.0},          {"repetition_penalty", 1.0}};
        return {.path = "/v1/completions", .body = body_of(body)};
    }

    EchoReply read(const Json& reply, std::span<const EchoPrompt> /*prompts*/) const override {
        EchoReply result{.echoes = {Echo{}}, .counted = counted_usage(reply)};
        const Json* choices = member(reply, "choices");
        if (choices == nullptr || !choices->is_array() || choices->size() != 1) {
            return {.kind = Verdict::Kind::malformed, .reason = kBadChoices};
        }
        const Json* list = member(reply, "prompt");
        if (list == nullptr || list->is_null() || (list->is_array() && list->empty())) {
            return result;
        }
        if (!list->is_array() || list->size() != 1) {
            return {.kind = Verdict::Kind::malformed, .reason = "not one prompt in the reply"};
        }
        const Json* log_probs = member(list->front(), "logprobs");
        if (log_probs == nullptr || log_probs->is_null()) return result;
        const Json* values = member(log_probs, "token_logprobs");
        const Json* tokens = member(log_probs, "tokens");
        if (values == nullptr || !values->is_array() || tokens == nullptr || !tokens->is_array() ||
            values->size() != tokens->size()) {
            return {.kind = Verdict::Kind::malformed,
                    .reason = "tokens and token_logprobs of the prompt differ in length"};
        }
        Echo& echo = result.echoes.front();
        for (std::size_t i = 0; i < values->size(); ++i) {
            const std::string* text = text_of(&(*tokens)[i]);
            if (text == nullptr) {
                return {.kind = Verdict::Kind::malformed, .reason = "a token that is no text"};
            }
            echo.values.push_back(&(*values)[i]);
            echo.texts.push_back(*text);
        }
        return result;
    }
};

/// Together has no top_k that means "all", and none by default; repetition_penalty is spelled out.
class TogetherDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "together"; }
    bool can_score() const noexcept override { return true; }
    bool can_generate() const noexcept override { return true; }
    std::unique_ptr<Exchange> score(const ServerFacts& server,
                                    ScoreRequest request) const override {
        return make_echo_exchange(echo_, nullptr, server, std::move(request));
    }
    std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                       GenerateRequest request) const override {
        return make_write_exchange(writer_, nullptr, server, std::move(request));
    }
    std::vector<Call> describe() const override { return {{.path = "/v1/models"}}; }
    std::string learn(std::size_t /*index*/,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        return learn_models(status, body, server);
    }
    RequestManner manner(const ServerFacts& server) const override {
        return echo_manner(server, false);
    }

  private:
    TogetherEcho echo_;
    CompletionsWriter writer_{{.neutral_sampling = false}};
};

}  // namespace

std::unique_ptr<Dialect> make_together_dialect() { return std::make_unique<TogetherDialect>(); }

}  // namespace dln::http
