#include "llm/http/embed_exchange.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/call_book.hpp"
#include "llm/http/openai_shapes.hpp"
#include "llm/http/wire.hpp"

namespace dln::http {
namespace {

/// The numbers of one vector, or in `error` what is wrong with them.
Embedding read_vector(const Json* list) {
    Embedding vector;
    if (list == nullptr || !list->is_array() || list->empty()) {
        return {.values = {}, .error = "an entry without a list of numbers as its embedding"};
    }
    if (list->front().is_array()) {
        return {.values = {},
                .error =
                    "a vector for every token where one for the text is expected: start the "
                    "server with a pooling (llama-server: --pooling mean)"};
    }
    bool is_zero = true;
    for (const Json& number : *list) {
        if (!number.is_number()) {
            return {.values = {}, .error = "an embedding with an entry that is no number"};
        }
        const auto value = static_cast<float>(number.get<double>());
        if (!std::isfinite(value)) {
            return {.values = {}, .error = "an embedding with a number that is not finite"};
        }
        is_zero = is_zero && value == 0.0F;
        vector.values.push_back(value);
    }
    if (is_zero) return {.values = {}, .error = "an embedding of zeros, which is near to nothing"};
    return vector;
}

class EmbedExchange final : public Exchange {
  public:
    EmbedExchange(ServerFacts server, EmbedRequest request)
        : server_(std::move(server)), request_(std::move(request)) {
        reply_.embeddings.resize(request_.texts.size());
    }

    std::vector<Call> begin() override {
        std::vector<Call> calls;
        std::vector<Ask> listed;
        for (std::size_t i = 0; i < request_.texts.size(); ++i) {
            ++usage_.calls;
            if (const auto bad = find_invalid_utf8(request_.texts[i])) {
                reply_.embeddings[i].error =
                    fmt::format("the text is not UTF-8: the byte at offset {} is invalid", *bad);
            } else {
                listed.push_back({.item = i});
            }
        }
        const std::size_t limit = std::max<std::size_t>(server_.prompts_a_call, 1);
        for (std::size_t first = 0; first < listed.size(); first += limit) {
            add_call(std::span(listed).subspan(first, std::min(limit, listed.size() - first)),
                     calls);
        }
        return calls;
    }

    Verdict take(std::size_t index, std::string_view body) override {
        const std::vector<Ask> asks = book_.asks(index);
        const ParsedReply parsed = parse_answer(body);
        if (!parsed.ok()) return malformed(index, parsed.error);
        const auto entries = entries_in_order(member(parsed.value, "data"), asks.size());
        if (!entries) {
            return malformed(index, "embeddings are missing, occur twice or are too many");
        }
        std::vector<Embedding> vectors;
        for (const Json* entry : *entries) {
            vectors.push_back(read_vector(member(entry, "embedding")));
            if (!vectors.back().ok()) return malformed(index, vectors.back().error);
        }
        const std::size_t expected = vectors.front().values.size();
        for (const Embedding& vector : vectors) {
            if (vector.values.size() == expected) continue;
            return malformed(index, fmt::format("an embedding of {} numbers where others have {}",
                                                vector.values.size(), expected));
        }
        for (std::size_t i = 0; i < asks.size(); ++i) {
            reply_.embeddings[asks[i].item] = std::move(vectors[i]);
        }
        count(asks, counted_usage(parsed.value).prompt);
        book_.close(index);
        return {};
    }

    Verdict fail(std::size_t index,
                 int status,
                 std::string_view body,
                 std::string_view reason) override {
        const std::vector<Ask> asks = book_.asks(index);
        Verdict verdict;
        if (book_.may_split(index, status)) {
            for (const Ask& ask : asks) add_call({&ask, 1}, verdict.more);
        } else {
            verdict = given_up(status, body, reason);
            for (const Ask& ask : asks) reply_.embeddings[ask.item].error = verdict.reason;
            usage_.requests += static_cast<std::int64_t>(asks.size());
        }
        book_.close(index);
        return verdict;
    }

    bool done() const override { return book_.none_open(); }
    Reply take_reply() override {
        DLN_ASSERT(done(), "calls are open");
        return std::move(reply_);
    }
    Usage usage() const override { return usage_; }

  private:
    void add_call(std::span<const Ask> asks, std::vector<Call>& calls) {
        Json texts = Json::array();
        std::int64_t tokens = 0;
        for (const Ask& ask : asks) {
            texts.push_back(request_.texts[ask.item]);
            tokens += estimated_tokens(request_.texts[ask.item].size());
        }
        calls.push_back({.path = "/v1/embeddings",
                         .body = body_of({{"model", server_.model},
                                          {"input", std::move(texts)},
                                          {"encoding_format", "float"}}),
                         .estimated_tokens = tokens,
                         .prompts = static_cast<int>(asks.size())});
        book_.open({asks.begin(), asks.end()});
    }

    Verdict malformed(std::size_t index, std::string reason) {
        book_.note_malformed(index);
        return {.kind = Verdict::Kind::malformed, .reason = std::move(reason)};
    }

    void count(const std::vector<Ask>& asks, std::optional<std::int64_t> counted) {
        std::int64_t estimated = 0;
        for (const Ask& ask : asks) estimated += estimated_tokens(request_.texts[ask.item].size());
        const std::int64_t tokens = counted.value_or(estimated);
        usage_.requests += static_cast<std::int64_t>(asks.size());
        usage_.standalone_tokens += tokens;
        usage_.evaluated_tokens += tokens;
        usage_.prompt_tokens += tokens;
    }

    ServerFacts server_;
    EmbedRequest request_;
    EmbedReply reply_;
    Usage usage_;
    CallBook book_;
};

}  // namespace

std::unique_ptr<Exchange> make_embed_exchange(const ServerFacts& server, EmbedRequest request) {
    return std::make_unique<EmbedExchange>(server, std::move(request));
}

}  // namespace dln::http
