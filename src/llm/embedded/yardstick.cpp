// Plain uses of llama.cpp that the benchmarks compare the backend with.

#include <cmath>
#include <utility>

#include "dln/error.hpp"
#include "dln/llm/logits.hpp"

#include "llm/embedded/embedded_backend.hpp"

namespace dln {
namespace {

EmbeddedBackend& embedded(Backend& backend) {
    auto* known = dynamic_cast<EmbeddedBackend*>(&backend);
    DLN_ASSERT(known != nullptr, "a yardstick needs the embedded backend, not {}",
               backend.info().kind);
    return *known;
}

// Decodes `tokens` alone, with logits behind each.
void decode_alone(Decoder& decoder, const std::vector<Token>& tokens) {
    static const std::vector<int> sequence{0};
    std::vector<DecodeToken> batch;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        batch.push_back({tokens[i], static_cast<int>(i), sequence, true});
    }
    decoder.begin({});
    decoder.share_prefix(1);
    decoder.decode(batch);
}

}  // namespace

Completion score_each_alone(Backend& backend, const ScoreRequest& request) {
    EmbeddedBackend& model = embedded(backend);
    Decoder& decoder = model.decoder();
    Completion completion;
    ScoreReply reply;
    for (const ScoreItem& item : request.items) {
        const std::size_t context_size = model.tokenizer().encode(item.context).size();
        auto& scores = reply.scores.emplace_back();
        for (const std::string& text : item.targets) {
            const std::vector<Token> tokens = model.tokenizer().encode(item.context, text);
            decode_alone(decoder, tokens);
            TargetScore& score = scores.emplace_back();
            for (std::size_t i = context_size; i < tokens.size(); ++i) {
                const auto row = decoder.logits_of(i - 1);
                score.token_log_probs.push_back(
                    static_cast<double>(row[static_cast<std::size_t>(tokens[i])]) -
                    log_sum_exp(row));
            }
            completion.usage.calls += 1;
            completion.usage.evaluated_tokens += static_cast<std::int64_t>(tokens.size());
        }
    }
    completion.reply = std::move(reply);
    return completion;
}

std::vector<std::vector<float>> logits_of_all(Backend& backend,
                                              const std::vector<std::int32_t>& tokens) {
    Decoder& decoder = embedded(backend).decoder();
    DLN_ASSERT(std::cmp_less_equal(tokens.size(), decoder.options().rows_a_decode),
               "logits of {} tokens at once", tokens.size());
    decode_alone(decoder, tokens);
    std::vector<std::vector<float>> rows;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::span<const float> row = decoder.logits_of(i);
        rows.emplace_back(row.begin(), row.end());
    }
    return rows;
}

std::int64_t decode_bare(Backend& backend, const Context& context, int sequences, int tokens) {
    EmbeddedBackend& model = embedded(backend);
    Decoder& decoder = model.decoder();
    const std::vector<Token> prompt = model.tokenizer().encode(context);
    std::vector<int> all;
    for (int s = 0; s < sequences; ++s) all.push_back(s);
    decoder.begin({});
    std::vector<DecodeToken> batch;
    for (std::size_t i = 0; i < prompt.size(); ++i) {
        batch.push_back({prompt[i], static_cast<int>(i), all, i + 1 == prompt.size()});
    }
    decoder.share_prefix(sequences);
    decoder.decode(batch);
    std::vector<Token> next(all.size(), argmax_token(decoder.logits_of(prompt.size() - 1)));
    for (int step = 0; step < tokens; ++step) {
        batch.clear();
        for (std::size_t s = 0; s < all.size(); ++s) {
            batch.push_back(
                {next[s], static_cast<int>(prompt.size()) + step, std::span(&all[s], 1), true});
        }
        decoder.decode(batch);
        for (std::size_t s = 0; s < all.size(); ++s) next[s] = argmax_token(decoder.logits_of(s));
    }
    return static_cast<std::int64_t>(sequences) * tokens;
}

}  // namespace dln
