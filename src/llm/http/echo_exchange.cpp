// Scores from the log-probabilities that a server returns for the prompt itself. Without a tokeniser the
// context is scored once more, alone, since only the server knows how many tokens it has.
//
// A text that was sent before it was tokenised is verified by the ids that come back: these must be what its
// context's own ids and the known ending of its target make expect. Else the two have perhaps merged in another
// way: then this text is tokenised as a whole and its ids are compared, and where they differ it is sent again
// by its ids.

#include <map>
#include <optional>

#include <fmt/format.h>

#include "llm/http/echo_check.hpp"
#include "llm/http/score_exchange.hpp"

namespace dln::http {
namespace {

class EchoExchange final : public ScoreExchange {
  public:
    EchoExchange(const EchoWire& wire,
                 const Tokeniser* tokeniser,
                 const ServerFacts& server,
                 ScoreRequest request)
        : ScoreExchange(tokeniser, server, std::move(request)), wire_(wire) {}

  private:
    struct Place {
        std::size_t item = 0;
        std::size_t target = 0;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    struct Text {
        TextEcho echo;
        bool is_tokenised = false;  ///< asked for, as it is not what was expected
    };
    /// The server's reply for the context alone, and for targets that came before it.
    struct Awaiting {
        std::optional<CheckedEcho> context;
        std::vector<std::optional<CheckedEcho>> targets;
    };

    std::size_t prompts_a_call() const override { return wire_.prompts_a_call(server()); }
    bool one_item_a_call() const override { return wire_.one_item_a_call(); }
    bool names_tokens_of_texts() const override { return wire_.names_tokens_of_texts(server()); }

    std::vector<Ask> asks_for(std::size_t item, std::size_t target) const override {
        return {{.purpose = Ask::Purpose::prompt, .item = item, .target = target}};
    }

    EchoPrompt prompt_of(const Ask& ask) const {
        EchoPrompt prompt{.text = whole_text(ask.item, ask.target),
                          .begin_bytes = item(ask.item).begin_bytes};
        if (tokenises() && !ask.as_text) {
            prompt.tokens = item(ask.item).targets[ask.target].tokens;
            prompt.first_wanted = item(ask.item).tokens.size();
        }
        return prompt;
    }

    std::vector<EchoPrompt> prompts_of(std::span<const Ask> asks) const {
        std::vector<EchoPrompt> prompts;
        for (const Ask& ask : asks) prompts.push_back(prompt_of(ask));
        return prompts;
    }

    Call make_call(std::span<const Ask> asks) const override {
        const std::vector<EchoPrompt> prompts = prompts_of(asks);
        Call call = wire_.score(server(), prompts);
        call.prompts = static_cast<int>(prompts.size());
        call.estimated_output = call.prompts;
        for (const EchoPrompt& prompt : prompts) {
            call.estimated_tokens +=
                1 + (prompt.tokens.empty() ? estimated_tokens(prompt.text.size())
                                           : static_cast<std::int64_t>(prompt.tokens.size()));
        }
        return call;
    }

    Verdict take_prompts(std::span<const Ask> asks,
                         const Json& reply,
                         std::vector<Call>& more) override {
        const std::vector<EchoPrompt> prompts = prompts_of(asks);
        const EchoReply read = wire_.read(reply, prompts);
        if (read.kind != Verdict::Kind::taken) return {.kind = read.kind, .reason = read.reason};
        std::size_t sent = 0;
        for (const EchoPrompt& prompt : prompts) sent += prompt.tokens.size();
        if (counts_fewer(read, sent)) return cut_silently(read, sent);
        return asks.front().as_text ? take_texts(asks, read, more)
                                    : take_tokens_scored(asks, prompts, read);
    }

    Verdict take_tokens_scored(std::span<const Ask> asks,
                               const std::vector<EchoPrompt>& prompts,
                               const EchoReply& read) {
        std::vector<CheckedEcho> checked;
        std::size_t returned = 0;
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            checked.push_back(check_echo(read.echoes[i], prompts[i]));
            const CheckedEcho& last = checked.back();
            if (last.kind == Verdict::Kind::malformed || last.kind == Verdict::Kind::broken) {
                return {.kind = last.kind, .reason = last.reason};
            }
            returned += last.tokens;
        }
        if (counts_fewer(read, returned)) return cut_silently(read, returned);
        count(read.counted, returned, asks.size());
        Verdict verdict;
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            refuse_if(accept(asks[i], prompts[i], std::move(checked[i])), verdict);
        }
        return verdict;
    }

    Verdict take_texts(std::span<const Ask> asks, const EchoReply& read, std::vector<Call>& more) {
        std::vector<TextEcho> echoes;
        std::size_t returned = 0;
        for (const Echo& echo : read.echoes) {
            echoes.push_back(read_text_echo(echo));
            const TextEcho& last = echoes.back();
            if (last.kind != Verdict::Kind::taken)
                return {.kind = last.kind, .reason = last.reason};
            returned += last.ids.size();
        }
        // The last of each may have been generated. Where nothing is counted (TGI) it is the prompt's.
        const std::size_t sent = returned - echoes.size();
        if (counts_fewer(read, sent)) return cut_silently(read, sent);
        count(read.counted, returned, asks.size());
        Verdict verdict;
        for (std::size_t i = 0; i < asks.size(); ++i) {
            const Place place{asks[i].item, asks[i].target};
            texts_.insert_or_assign(place, Text{.echo = std::move(echoes[i])});
            refuse_if(settle_text(place, more), verdict);
        }
        return verdict;
    }

    static void refuse_if(std::string why, Verdict& verdict) {
        if (why.empty()) return;
        verdict.kind = Verdict::Kind::refused;
        verdict.reason = std::move(why);
    }

    void tokens_settled(std::size_t item, std::size_t target, std::vector<Call>& more) override {
        std::vector<Place> concerned;
        for (const auto& [place, text] : texts_) {
            const bool is_own =
                place.item == item && (target == Ask::kContext || place.target == target);
            if (is_own || item == kNoItem) concerned.push_back(place);
        }
        // A failure is in the scores; the reply that brings it here was another call's.
        for (const Place& place : concerned) static_cast<void>(settle_text(place, more));
    }

    /// Scores a text that has come back, or asks for what is missing to do so. Returns why it failed.
    std::string settle_text(const Place& place, std::vector<Call>& more) {
        const auto found = texts_.find(place);
        const std::vector<TokenId>& context = item(place.item).tokens;
        if (found == texts_.end() || context.empty() || is_settled(place.item, place.target)) {
            return {};
        }
        const std::vector<TokenId>& whole = item(place.item).targets[place.target].tokens;
        if (whole.empty() && found->second.is_tokenised) return {};
        Endings::Expected known{.tokens = whole};
        if (whole.empty()) known = expected(place.item, place.target);
        if (known.may_come) return {};
        const auto values = known.tokens.size() > context.size()
                                ? values_of(found->second.echo, known.tokens, context.size())
                                : std::span<const LogProb>();
        if (!values.empty()) {
            std::string why =
                settle_values({.item = place.item, .target = place.target}, context.size(), values);
            texts_.erase(found);
            return why;
        }
        if (whole.empty()) {
            found->second.is_tokenised = true;
            tokenise(place.item, place.target, more);
        } else {
            texts_.erase(found);
            ask_again_by_tokens(place.item, place.target, more);
        }
        return {};
    }

    static bool counts_fewer(const EchoReply& read, std::size_t tokens) {
        return read.counted.prompt && *read.counted.prompt < static_cast<std::int64_t>(tokens);
    }

    static Verdict cut_silently(const EchoReply& read, std::size_t tokens) {
        return {
            .kind = Verdict::Kind::broken,
            .reason = fmt::format("the server counts {} prompt tokens where there are {}: it cuts "
                                  "prompts silently",
                                  *read.counted.prompt, tokens)};
    }

    // Returns why it failed.
    std::string accept(const Ask& ask, const EchoPrompt& prompt, CheckedEcho checked) {
        const bool is_context = ask.target == Ask::kContext;
        if (checked.kind == Verdict::Kind::refused) {
            if (is_context) {
                fail_item(ask.item, checked.reason);
            } else {
                fail_target(ask.item, ask.target, checked.reason);
            }
            return checked.reason;
        }
        if (!prompt.tokens.empty()) {
            return settle_values(ask, prompt.first_wanted, checked.values);
        }
        if (awaiting_.size() <= ask.item) awaiting_.resize(ask.item + 1);
        Awaiting& awaiting = awaiting_[ask.item];
        awaiting.targets.resize(item(ask.item).targets.size());
        if (!is_context) {
            awaiting.targets[ask.target] = std::move(checked);
            return settle_awaiting(ask.item, ask.target);
        }
        awaiting.context = std::move(checked);
        std::string why;
        for (std::size_t t = 0; t < awaiting.targets.size(); ++t) {
            if (std::string each = settle_awaiting(ask.item, t); !each.empty()) why = each;
        }
        return why;
    }

    std::string settle_awaiting(std::size_t item, std::size_t target) {
        const std::optional<CheckedEcho>& context = awaiting_[item].context;
        std::optional<CheckedEcho>& whole = awaiting_[item].targets[target];
        if (!context || !whole || is_settled(item, target)) return {};
        std::string why;
        if (context->has_lead != whole->has_lead || context->has_begin != whole->has_begin) {
            why = "the server begins the context alone with other tokens than the whole text";
        } else if (whole->tokens <= context->tokens) {
            why = "the target adds no token to the context";
        }
        if (!why.empty()) {
            fail_target(item, target, why);
            return why;
        }
        const std::size_t wanted = whole->tokens - context->tokens;
        // The first token has no value, and the context has one token at least.
        const std::span<const LogProb> values =
            std::span(whole->values).last(std::min(wanted, whole->values.size()));
        return settle_values({.item = item, .target = target}, context->tokens, values);
    }

    std::string settle_values(const Ask& ask,
                              std::size_t context_tokens,
                              std::span<const LogProb> values) {
        std::vector<double> log_probs;
        for (const LogProb& value : values) {
            if (value.kind == LogProb::Kind::good) {
                log_probs.push_back(value.value);
                continue;
            }
            std::string why = fmt::format(
                "the server gives its stand-in for minus infinity to token {} of the target: its "
                "probability is not known",
                log_probs.size());
            fail_target(ask.item, ask.target, why);
            return why;
        }
        settle(ask.item, ask.target, context_tokens, std::move(log_probs));
        return {};
    }

    const EchoWire& wire_;
    std::map<Place, Text> texts_;     // that came back before it was known what they should be
    std::vector<Awaiting> awaiting_;  // by item; only without a tokeniser
};

}  // namespace

std::unique_ptr<Exchange> make_echo_exchange(const EchoWire& wire,
                                             const Tokeniser* tokeniser,
                                             const ServerFacts& server,
                                             ScoreRequest request) {
    return std::make_unique<EchoExchange>(wire, tokeniser, server, std::move(request));
}

}  // namespace dln::http
