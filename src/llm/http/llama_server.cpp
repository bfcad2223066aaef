// llama.cpp's llama-server. It returns no log-probabilities of prompts, so targets are scored by forced
// tokens. Texts are tokenised by a call of their own even for generation: in a prompt that is a text the
// server would take the spelling of a control token for the token.

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

#include "llm/http/dialects.hpp"
#include "llm/http/forced_exchange.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

class LlamaServerTokeniser final : public Tokeniser {
  public:
    Call tokenise(const ServerFacts& /*server*/,
                  std::string_view text,
                  bool is_rendered) const override {
        // A rendered chat comes without the begin-of-sequence token that the model wants.
        return {.path = "/tokenize",
                .body = body_of(
                    {{"content", text}, {"add_special", true}, {"parse_special", is_rendered}})};
    }
    std::optional<std::vector<TokenId>> read_tokens(const Json& reply) const override {
        return token_list(member(reply, "tokens"));
    }
    std::string why_no_chat(const ServerFacts& /*server*/) const override { return {}; }
    Call render(const ServerFacts& /*server*/,
                std::string_view text,
                const RenderedChat& /*so_far*/) const override {
        const Json message{{"role", "user"}, {"content", text}};
        return {.path = "/apply-template", .body = body_of({{"messages", Json::array({message})}})};
    }
    bool read_rendered(const Json& reply, RenderedChat& so_far) const override {
        const std::string* text = text_of(member(reply, "prompt"));
        if (text == nullptr || text->empty()) return false;
        so_far.text = *text;
        so_far.has_text = true;
        return true;
    }
};

class LlamaServerDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "llama-server"; }
    bool can_score() const noexcept override { return true; }
    bool can_generate() const noexcept override { return true; }

    std::unique_ptr<Exchange> score(const ServerFacts& server,
                                    ScoreRequest request) const override {
        return make_forced_exchange(tokeniser_, with_tokeniser(server), std::move(request));
    }
    std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                       GenerateRequest request) const override {
        return make_write_exchange(writer_, &tokeniser_, with_tokeniser(server),
                                   std::move(request));
    }
    std::vector<Call> describe() const override {
        return {{.path = "/v1/models"},
                {.path = "/props"},
                {.path = "/tokenize", .body = body_of({{"content", "a"}})}};
    }
    std::string learn(std::size_t index,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        if (index == 0) return learn_models(status, body, server);
        const ParsedReply parsed = parse_reply(body);
        if (index == 1) {
            if (status == 200) learn_properties(parsed.value, server);
            return {};
        }
        server.can_tokenise = status == 200 && tokeniser_.read_tokens(parsed.value).has_value();
        if (server.can_tokenise) return {};
        return fmt::format("/tokenize answered HTTP {} without tokens: is this llama-server?",
                           status);
    }
    RequestManner manner(const ServerFacts& /*server*/) const override {
        return {.score = ScoreManner::token,
                .drawn_a_score = 1.0,
                .recalls_scores = true,
                .recalls_texts = true};
    }
    std::optional<Call> count_tokens(const ServerFacts& server,
                                     const Context& context) const override {
        // A chat takes two calls: its template, then its tokens.
        if (context.chat) return std::nullopt;
        return tokeniser_.tokenise(server, context.text, false);
    }
    std::optional<int> counted_tokens(std::string_view body) const override {
        return tokeniser_.count(parse_reply(body).value);
    }

  private:
    // All versions tokenise. A text is tokenised as text, also one that spells a begin token.
    static ServerFacts with_tokeniser(ServerFacts server) {
        server.can_tokenise = true;
        server.begin_text.clear();
        return server;
    }

    static void learn_properties(const Json& properties, ServerFacts& server) {
        constexpr std::int64_t kMost = 1'000'000'000;
        if (const auto slots = token_count(member(properties, "total_slots"))) {
            server.slots = static_cast<int>(std::min(*slots, kMost));
        }
        const Json* settings = member(properties, "default_generation_settings");
        if (const auto length = token_count(member(settings, "n_ctx")); length && *length > 0) {
            server.context_tokens = static_cast<int>(std::min(*length, kMost));
        }
        if (const std::string* build = text_of(member(properties, "build_info"))) {
            server.software = "llama-server " + printable(*build, 40);
        }
    }

    LlamaServerTokeniser tokeniser_;
    CompletionsWriter writer_{{.wants_tokens = true}};
};

}  // namespace

std::unique_ptr<Dialect> make_llama_server_dialect() {
    return std::make_unique<LlamaServerDialect>();
}

}  // namespace dln::http
