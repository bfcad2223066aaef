// Text Generation Inference: /generate with decoder_input_details, one prompt a call. Its completions path
// ignores echo, so it is used for chat generation only.

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

#include "llm/http/dialects.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/score_exchange.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

// Versions from 3.0 on compute none unless they are started so.
constexpr const char* kNoPrefill =
    "TGI returns no log-probabilities of the prompt (details.prefill is empty): start it with "
    "--enable-prefill-logprobs (or REQUEST_LOGPROBS=1). What works without: vLLM (openai), sglang, "
    "llama-server";

class TgiTokeniser final : public Tokeniser {
  public:
    Call tokenise(const ServerFacts& /*server*/,
                  std::string_view text,
                  bool /*is_rendered*/) const override {
        return {.path = "/tokenize", .body = body_of({{"inputs", text}})};
    }
    std::optional<std::vector<TokenId>> read_tokens(const Json& reply) const override {
        if (!reply.is_array()) return std::nullopt;
        std::vector<TokenId> tokens;
        for (const Json& each : reply) {
            const auto token = token_id(member(each, "id"));
            if (!token) return std::nullopt;
            tokens.push_back(*token);
        }
        return tokens;
    }
    std::string why_no_chat(const ServerFacts& /*server*/) const override {
        return "TGI adds a begin-of-sequence token to every scored text, which a rendered chat has "
               "already; "
               "score chat contexts with vLLM (openai) or llama-server, or write the template "
               "without "
               "chat";
    }
};

class TgiEcho final : public EchoWire {
  public:
    std::size_t prompts_a_call(const ServerFacts& /*server*/) const override { return 1; }
    bool names_tokens_of_texts(const ServerFacts& /*server*/) const override { return true; }

    Call score(const ServerFacts& /*server*/, std::span<const EchoPrompt> prompts) const override {
        const Json body{{"inputs", prompts.front().text},
                        {"parameters",
                         {{"max_new_tokens", 1},  // 0 is refused
                          {"do_sample", false},
                          {"decoder_input_details", true},
                          {"details", true}}}};
        return {.path = "/generate", .body = body_of(body)};
    }

    EchoReply read(const Json& reply, std::span<const EchoPrompt> /*prompts*/) const override {
        EchoReply result{.echoes = {Echo{}}};
        const auto malformed = [](const char* why) {
            return EchoReply{.kind = Verdict::Kind::malformed, .reason = why};
        };
        if (text_of(member(reply, "generated_text")) == nullptr) {
            return malformed("no generated_text in the reply");
        }
        const Json* details = member(reply, "details");
        const Json* prefill = member(details, "prefill");
        if (prefill == nullptr || prefill->is_null() || (prefill->is_array() && prefill->empty())) {
            return {.kind = Verdict::Kind::broken, .reason = kNoPrefill};
        }
        if (!prefill->is_array()) return malformed("details.prefill is no list");
        Echo& echo = result.echoes.front();
        for (const Json& entry : *prefill) {
            const auto id = token_id(member(entry, "id"));
            const std::string* text = text_of(member(entry, "text"));
            const Json* value = member(entry, "logprob");
            if (!id || text == nullptr || value == nullptr) {
                return malformed("a token of details.prefill without id, text and logprob");
            }
            echo.ids.push_back(*id);
            echo.texts.push_back(*text);
            echo.values.push_back(value);
        }
        result.counted.completion = token_count(member(details, "generated_tokens"));
        return result;
    }
};

class TgiWriter final : public WriteWire {
  public:
    std::size_t prompts_a_call(const ServerFacts& /*server*/) const override { return 1; }
    std::string why_not(bool /*chat*/) const override { return {}; }

    Call write(const ServerFacts& server,
               const GenerateRequest& request,
               std::span<const WritePrompt> prompts) const override {
        const WritePrompt& prompt = prompts.front();
        if (prompt.chat) {
            // Any other name is taken for that of an adapter.
            ServerFacts as_itself = server;
            as_itself.model = "tgi";
            return chat_.write(as_itself, request, prompts);
        }
        Json parameters{{"max_new_tokens", request.max_tokens},
                        {"do_sample", request.temperature > 0.0},
                        {"repetition_penalty", 1.0},
                        {"return_full_text", false},
                        {"details", true},
                        {"seed", prompt.seed}};
        // TGI refuses a temperature of 0 and a top_p of 1, which mean nothing to it.
        if (request.temperature > 0.0) parameters["temperature"] = request.temperature;
        if (request.top_p < 1.0) parameters["top_p"] = request.top_p;
        for (const std::string& stop : request.stop) {
            Json& stops = parameters["stop"];
            if (stops.size() < kMostStops) stops.push_back(stop);
        }
        const Json body{{"inputs", prompt.text}, {"parameters", std::move(parameters)}};
        return {.path = "/generate", .body = body_of(body)};
    }

    WriteReply read(const Json& reply, std::span<const WritePrompt> prompts) const override {
        if (prompts.front().chat) return chat_.read(reply, prompts);
        const std::string* text = text_of(member(reply, "generated_text"));
        const Json* details = member(reply, "details");
        Written written;
        if (text == nullptr || !read_finish(text_of(member(details, "finish_reason")), written)) {
            return {.malformed = "no generated_text with a known finish_reason"};
        }
        WriteReply result;
        written.text = *text;
        result.counted.completion = token_count(member(details, "generated_tokens"));
        if (result.counted.completion) {
            written.tokens =
                static_cast<int>(std::min<std::int64_t>(*result.counted.completion, 1'000'000'000));
        }
        result.texts.push_back(std::move(written));
        return result;
    }

  private:
    static constexpr std::size_t kMostStops = 4;  // the server's default limit
    CompletionsWriter chat_{
        {.neutral_sampling = false, .leaves_out_top_p_one = true, .most_stops = kMostStops}};
};

class TgiDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "tgi"; }
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
        return {{.path = "/info"}, {.path = "/tokenize", .body = body_of({{"inputs", "a"}})}};
    }
    std::string learn(std::size_t index,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        if (index == 0) return learn_info(status, body, server);
        if (status == 200 && tokeniser_.read_tokens(parse_reply(body).value)) {
            server.can_tokenise = true;
        }
        return {};
    }
    RequestManner manner(const ServerFacts& server) const override {
        return echo_manner(server, false);
    }
    std::optional<Call> count_tokens(const ServerFacts& server,
                                     const Context& context) const override {
        if (!server.can_tokenise || context.chat) return std::nullopt;
        return tokeniser_.tokenise(server, context.text, false);
    }
    std::optional<int> counted_tokens(std::string_view body) const override {
        return tokeniser_.count(parse_reply(body).value);
    }

  private:
    static std::string learn_info(int status, std::string_view body, ServerFacts& server) {
        if (status != 200) {
            return fmt::format("/info was refused with HTTP {}: {}", status, server_words(body));
        }
        const ParsedReply parsed = parse_reply(body);
        const std::string* model = text_of(member(parsed.value, "model_id"));
        if (!parsed.ok() || model == nullptr) return "/info does not name a model";
        if (server.model.empty()) server.model = *model;
        if (server.model != *model) {
            return fmt::format("the server has no model \"{}\". It has: {}",
                               printable(server.model, 60), printable(*model, 60));
        }
        // The prompt has a limit of its own, below that of prompt and output together. Versions before
        // 2.1 call it max_input_length.
        learn_context_tokens(member(parsed.value, "max_total_tokens"), server);
        for (const char* field : {"max_input_tokens", "max_input_length"}) {
            ServerFacts input;
            learn_context_tokens(member(parsed.value, field), input);
            if (input.context_tokens > 0 &&
                (server.context_tokens == 0 || input.context_tokens < server.context_tokens)) {
                server.context_tokens = input.context_tokens;
            }
        }
        const std::string* version = text_of(member(parsed.value, "version"));
        server.software = "tgi" + (version ? " " + printable(*version, 40) : std::string());
        return {};
    }

    TgiEcho echo_;
    TgiTokeniser tokeniser_;
    TgiWriter writer_;
};

}  // namespace

std::unique_ptr<Dialect> make_tgi_dialect() { return std::make_unique<TgiDialect>(); }

}  // namespace dln::http
