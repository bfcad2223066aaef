// /v1/embeddings and nothing else: OpenAI's, and those of vLLM, llama-server, llama-cpp-python and others.

#include <fmt/format.h>

#include "llm/http/dialects.hpp"
#include "llm/http/embed_exchange.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/refused_exchange.hpp"

namespace dln::http {
namespace {

constexpr const char* kEmbedsOnly = "a server for embeddings is asked for nothing else";

class OpenAiEmbeddingsDialect final : public Dialect {
  public:
    std::string_view name() const noexcept override { return "openai-embeddings"; }
    bool can_score() const noexcept override { return false; }
    bool can_generate() const noexcept override { return false; }

    std::unique_ptr<Exchange> score(const ServerFacts& /*server*/,
                                    ScoreRequest request) const override {
        return make_refused_exchange(std::move(request), kEmbedsOnly);
    }
    std::unique_ptr<Exchange> generate(const ServerFacts& /*server*/,
                                       GenerateRequest request) const override {
        return make_refused_exchange(std::move(request), kEmbedsOnly);
    }
    std::unique_ptr<Exchange> embed(const ServerFacts& server,
                                    EmbedRequest request) const override {
        return make_embed_exchange(server, std::move(request));
    }
    std::vector<Call> describe() const override { return {{.path = "/v1/models"}}; }
    std::string learn(std::size_t /*index*/,
                      int status,
                      std::string_view body,
                      ServerFacts& server) const override {
        // Servers for embeddings alone may have no list: the name that the job gives is then taken for good.
        if (status == 404 && !server.model.empty()) return {};
        return learn_models(status, body, server);
    }
    RequestManner manner(const ServerFacts& /*server*/) const override {
        return {.score = ScoreManner::none};
    }
};

}  // namespace

std::unique_ptr<Dialect> make_openai_embeddings_dialect() {
    return std::make_unique<OpenAiEmbeddingsDialect>();
}

}  // namespace dln::http
