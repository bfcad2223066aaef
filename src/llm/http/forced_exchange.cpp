#include "llm/http/forced_exchange.hpp"

#include <map>

#include <fmt/format.h>

#include "llm/http/log_prob.hpp"
#include "llm/http/openai_shapes.hpp"

namespace dln::http {
namespace {

/// FNV-1a, so that the same context goes to the same slot in every build.
std::uint32_t hash_of(std::string_view text) {
    std::uint32_t hash = 2166136261U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return hash;
}

class ForcedExchange final : public ScoreExchange {
  public:
    using ScoreExchange::ScoreExchange;

  private:
    struct Place {
        std::size_t item = 0;
        std::size_t target = 0;
        friend auto operator<=>(const Place&, const Place&) = default;
    };

    std::size_t prompts_a_call() const override { return 1; }

    std::vector<Ask> asks_for(std::size_t item_index, std::size_t target) const override {
        std::vector<Ask> asks;
        // Nothing is asked about a context alone.
        if (target == Ask::kContext) return asks;
        const std::size_t end = item(item_index).targets[target].tokens.size();
        for (std::size_t at = item(item_index).tokens.size(); at < end; ++at) {
            asks.push_back({.purpose = Ask::Purpose::prompt,
                            .item = item_index,
                            .target = target,
                            .place = at});
        }
        return asks;
    }

    Call make_call(std::span<const Ask> asks) const override {
        const Ask& ask = asks.front();
        const std::vector<TokenId>& tokens = item(ask.item).targets[ask.target].tokens;
        const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(ask.place);
        Json body{{"model", server().model},
                  {"prompt", std::vector<TokenId>(tokens.begin(), end)},
                  {"max_tokens", 1},
                  {"temperature", 0.0},
                  {"top_p", 1.0},
                  {"logprobs", 1},
                  {"logit_bias", Json::array({Json::array({tokens[ask.place], 100})})},
                  {"cache_prompt", true}};
        add_neutral_sampling(body);
        if (server().slots > 0) {
            // One slot for one context: its cache is what the next token needs.
            body["id_slot"] =
                hash_of(item(ask.item).head) % static_cast<std::uint32_t>(server().slots);
        }
        return {.path = "/v1/completions",
                .body = body_of(body),
                .estimated_tokens = static_cast<std::int64_t>(ask.place) + 1,
                .estimated_output = 1};
    }

    Verdict take_prompts(std::span<const Ask> asks,
                         const Json& reply,
                         std::vector<Call>& /*more*/) override {
        const Ask& ask = asks.front();
        const TokenId forced = item(ask.item).targets[ask.target].tokens[ask.place];
        const auto choices = choices_in_order(reply, 1);
        if (!choices) return {.kind = Verdict::Kind::malformed, .reason = kBadChoices};
        const Json* log_probs = member(choices->front(), "logprobs");
        const Json* content = member(log_probs, "content");
        if (content == nullptr || !content->is_array()) {
            return {.kind = Verdict::Kind::broken,
                    .reason =
                        "the server does not return the log-probability of a generated token "
                        "(logprobs.content), so forced tokens cannot be scored: is it "
                        "llama-server? For vLLM and llama-cpp-python use openai"};
        }
        if (content->size() != 1) {
            return {.kind = Verdict::Kind::malformed,
                    .reason = fmt::format("{} generated tokens instead of one", content->size())};
        }
        const Json& entry = content->front();
        const auto id = token_id(member(entry, "id"));
        if (!id || *id != forced) {
            return {.kind = Verdict::Kind::broken,
                    .reason = fmt::format("the server generated {} where token {} was forced by "
                                          "logit_bias",
                                          id ? fmt::format("token {}", *id) : "an unnamed token",
                                          forced)};
        }
        CountedTokens counted = counted_usage(reply);
        if (counted.prompt && *counted.prompt < static_cast<std::int64_t>(ask.place)) {
            return {
                .kind = Verdict::Kind::broken,
                .reason = fmt::format("the server counts {} prompt tokens where {} were sent: it "
                                      "cuts prompts silently",
                                      *counted.prompt, ask.place)};
        }
        const Json* sent = member(entry, "logprob");
        const LogProb value = sent == nullptr ? LogProb{} : read_log_prob(*sent);
        if (value.kind == LogProb::Kind::malformed) {
            return {.kind = Verdict::Kind::malformed,
                    .reason = "the forced token's log-probability is not a number of at most 0"};
        }
        if (is_above_the_best(entry, forced, value)) {
            return {.kind = Verdict::Kind::broken,
                    .reason =
                        "the server gives the forced token a higher log-probability than its "
                        "best token: it is not the model's own, so nothing can be scored"};
        }
        if (const auto cached = token_count(member(member(reply, "timings"), "cache_n"))) {
            counted.cached = *cached;
        }
        count(counted, ask.place, 1);
        return accept(ask, value);
    }

    // The best token's log-probability is the model's own. A server that tells the one after the bias, or
    // none at all (1 as a probability), is found out where the forced token is not the best anyway.
    static bool is_above_the_best(const Json& entry, TokenId forced, LogProb value) {
        constexpr double kRounding = 1e-4;
        const Json* top = member(entry, "top_logprobs");
        if (top == nullptr || !top->is_array() || top->empty()) return false;
        const Json* best = member(top->front(), "logprob");
        const auto id = token_id(member(top->front(), "id"));
        const LogProb most = best == nullptr ? LogProb{} : read_log_prob(*best);
        return id && *id != forced && value.kind == LogProb::Kind::good &&
               most.kind == LogProb::Kind::good && value.value > most.value + kRounding;
    }

    Verdict accept(const Ask& ask, LogProb value) {
        if (value.kind == LogProb::Kind::floored) {
            const std::string why =
                "the server gives its stand-in for minus infinity to a token of the target: its "
                "probability is not known";
            fail_target(ask.item, ask.target, why);
            return {.kind = Verdict::Kind::refused, .reason = why};
        }
        const std::size_t first = item(ask.item).tokens.size();
        const std::size_t size = item(ask.item).targets[ask.target].tokens.size() - first;
        std::map<std::size_t, double>& values = values_[{ask.item, ask.target}];
        values[ask.place] = value.value;
        if (values.size() < size) return {};
        std::vector<double> log_probs;
        for (const auto& [place, log_prob] : values) log_probs.push_back(log_prob);
        settle(ask.item, ask.target, first, std::move(log_probs));
        return {};
    }

    std::map<Place, std::map<std::size_t, double>>
        values_;  // by place, of targets not yet complete
};

/// Without the begin text: a forced token is right without, and the tokeniser takes it for text.
ServerFacts without_begin_text(ServerFacts server) {
    server.begin_text.clear();
    return server;
}

}  // namespace

std::unique_ptr<Exchange> make_forced_exchange(const Tokeniser& tokeniser,
                                               const ServerFacts& server,
                                               ScoreRequest request) {
    return std::make_unique<ForcedExchange>(&tokeniser, without_begin_text(server),
                                            std::move(request));
}

}  // namespace dln::http
