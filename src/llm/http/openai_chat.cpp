// /v1/chat/completions and nothing else: a chat context is its one user message. A plain context is refused,
// since as a message it would be another text to the model than the one that the template says.

#include "llm/http/dialects.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/refused_exchange.hpp"
#include "llm/http/write_exchange.hpp"

namespace dln::http {
namespace {

constexpr const char* kNoScores =
    "openai-chat returns log-probabilities of generated tokens only, so it cannot score; use "
    "openai (vLLM), "
    "sglang or llama-server, or an accuracy objective";

/// True when the server is known to take sampling fields beyond OpenAI's own.
bool takes_more_sampling(const ServerFacts& server) {
    return server.software == "vllm" || server.software == "sglang" ||
           server.software == "llamacpp" || server.software == "me";  // llama-cpp-python
}

CompletionsWriter::Options options(bool neutral_sampling) {
    return {.neutral_sampling = neutral_sampling,
            .most_stops = 4,  // OpenAI's limit
            .why_no_plain =
                "openai-chat takes chat contexts only: set \"chat\": true in the template, or use "
                "the dialect openai for plain ones"};
}

class OpenAiChatDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "openai-chat"; }
    bool can_score() const noexcept override { return false; }
    bool can_generate() const noexcept override { return true; }

    std::unique_ptr<Exchange> score(const ServerFacts& /*server*/,
                                    ScoreRequest request) const override {
        return make_refused_exchange(std::move(request), kNoScores);
    }
    std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                       GenerateRequest request) const override {
        return make_write_exchange(takes_more_sampling(server) ? neutral_ : strict_, nullptr,
                                   server, std::move(request));
    }
    std::vector<Call> describe() const override { return {{.path = "/v1/models"}}; }
    std::string learn(std::size_t /*index*/,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        return learn_models(status, body, server);
    }
    RequestManner manner(const ServerFacts& /*server*/) const override {
        return {.score = ScoreManner::none, .recalls_texts = true};
    }

  private:
    CompletionsWriter neutral_{options(true)};
    CompletionsWriter strict_{options(false)};
};

}  // namespace

std::unique_ptr<Dialect> make_openai_chat_dialect() {
    return std::make_unique<OpenAiChatDialect>();
}

}  // namespace dln::http
