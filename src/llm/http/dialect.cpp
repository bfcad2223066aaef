#include "llm/http/dialect.hpp"

#include "llm/http/dialects.hpp"
#include "llm/http/refused_exchange.hpp"
#include "llm/http/strict_json.hpp"

namespace dln::http {
namespace {

struct Entry {
    const char* name;
    std::unique_ptr<Dialect> (*make)();
};

constexpr Entry kDialects[] = {
    {"openai", make_openai_dialect},     {"openai-chat", make_openai_chat_dialect},
    {"together", make_together_dialect}, {"sglang", make_sglang_dialect},
    {"tgi", make_tgi_dialect},           {"llama-server", make_llama_server_dialect}};

constexpr std::string_view kEmbeddingDialect = "openai-embeddings";

}  // namespace

std::unique_ptr<Exchange> Dialect::embed(const ServerFacts& /*server*/,
                                         EmbedRequest request) const {
    return make_refused_exchange(std::move(request), "this dialect embeds no texts");
}

std::optional<Call> Dialect::count_tokens(const ServerFacts& /*server*/,
                                          const Context& /*context*/) const {
    return std::nullopt;
}

std::optional<int> Dialect::counted_tokens(std::string_view /*body*/) const { return std::nullopt; }

std::string Dialect::reply_model(std::string_view body) const {
    return outermost_text(body, "model");
}

RequestManner echo_manner(const ServerFacts& server, bool takes_lists) {
    const bool is_listed = takes_lists && server.prompts_a_call > 1;
    return {.score = server.can_tokenise ? ScoreManner::target : ScoreManner::target_and_context,
            .drawn_a_score = 1.0,
            .recalls_scores = !is_listed,
            .recalls_texts = !is_listed};
}

std::unique_ptr<Dialect> make_dialect(std::string_view name) {
    for (const Entry& entry : kDialects) {
        if (entry.name == name) return entry.make();
    }
    if (name == kEmbeddingDialect) return make_openai_embeddings_dialect();
    return nullptr;
}

const std::vector<std::string>& dialect_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (const Entry& entry : kDialects) all.emplace_back(entry.name);
        return all;
    }();
    return names;
}

}  // namespace dln::http
