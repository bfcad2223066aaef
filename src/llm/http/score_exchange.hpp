#pragma once
// What all ways of scoring share: contexts and targets are checked and tokenised, prompts are put into
// calls and lists are split, items fail one by one. Pure.

#include <limits>

#include "llm/http/call_book.hpp"
#include "llm/http/endings.hpp"
#include "llm/http/wire.hpp"

namespace dln::http {

/// The boundary: the text context + target is tokenised as a whole; the target's tokens are those behind
/// the number of tokens that the context has alone. Where the server tokenises, both are asked of it, the
/// context once for all its targets. Prompts are put into lists when all texts are tokenised, so that
/// which prompts share a call does not depend on the order of replies.
///
/// Where the echo of a text names its token ids, texts are sent at once, without waiting for the tokeniser. Of
/// these only the contexts are tokenised, and Endings tell with which tokens a target follows. See EchoExchange
/// for how their echo is verified.
class ScoreExchange : public Exchange {
  public:
    /// `tokeniser` null: the server has none.
    ScoreExchange(const Tokeniser* tokeniser, ServerFacts server, ScoreRequest request);
    [[nodiscard]] std::vector<Call> begin() final;
    [[nodiscard]] Verdict take(std::size_t index, std::string_view body) final;
    [[nodiscard]] Verdict fail(std::size_t index,
                               int status,
                               std::string_view body,
                               std::string_view reason) final;
    [[nodiscard]] bool done() const final { return book_.none_open(); }
    [[nodiscard]] Reply take_reply() final;
    [[nodiscard]] Usage usage() const final { return usage_; }

  protected:
    struct Target {
        std::vector<TokenId> tokens;  // context and target as one text
        bool settled = false;         // has its score, or its error
        bool as_text = false;         // its text was sent before its tokens were known
    };
    struct Item {
        std::string
            head;  // what stands before the targets: begin text and context, or rendered chat
        std::size_t begin_bytes = 0;
        RenderedChat chat;
        std::vector<TokenId> tokens;  // of the head
        bool counted = false;         // in standalone_tokens
        std::vector<Target> targets;
    };

    [[nodiscard]] virtual std::size_t prompts_a_call() const = 0;
    [[nodiscard]] virtual bool one_item_a_call() const { return false; }
    [[nodiscard]] virtual bool names_tokens_of_texts() const { return false; }
    /// The tokens of an item's context, of one of its whole texts, or of an ending (item kNoItem) have become
    /// known, or never will. Adds the calls that follow.
    virtual void tokens_settled(std::size_t /*item*/,
                                std::size_t /*target*/,
                                std::vector<Call>& /*more*/) {}
    /// What to ask for a target whose tokens are known, or for one of unknown tokens (target kContext: for
    /// its context).
    [[nodiscard]] virtual std::vector<Ask> asks_for(std::size_t item, std::size_t target) const = 0;
    [[nodiscard]] virtual Call make_call(std::span<const Ask> asks) const = 0;
    /// Settles what `asks` were for. Changes nothing when it returns malformed or broken.
    [[nodiscard]] virtual Verdict take_prompts(std::span<const Ask> asks,
                                               const Json& reply,
                                               std::vector<Call>& more) = 0;

    [[nodiscard]] const ServerFacts& server() const noexcept { return server_; }
    [[nodiscard]] const Item& item(std::size_t index) const { return items_[index]; }
    [[nodiscard]] std::string whole_text(std::size_t item, std::size_t target) const;
    [[nodiscard]] bool is_settled(std::size_t item, std::size_t target) const;
    [[nodiscard]] bool tokenises() const noexcept {
        return tokeniser_ != nullptr && server_.can_tokenise;
    }
    void settle(std::size_t item,
                std::size_t target,
                std::size_t context_tokens,
                std::vector<double> log_probs);
    void fail_target(std::size_t item, std::size_t target, std::string_view reason);
    void fail_item(std::size_t item, std::string_view reason);
    /// As the server counted, else as given: of the prompts, and drawn beside their scores.
    void count(const CountedTokens& counted, std::size_t prompt_tokens, std::size_t drawn_tokens);
    void tokenise(std::size_t item, std::size_t target, std::vector<Call>& more);
    static constexpr std::size_t kNoItem = std::numeric_limits<std::size_t>::max();
    /// What the tokens of a target that was sent as text are expected to be, its context included. Pre: its
    /// context is tokenised.
    [[nodiscard]] Endings::Expected expected(std::size_t item, std::size_t target) const {
        return endings_.expected(request_.items[item].targets[target], items_[item].tokens);
    }
    /// Sends a target that was sent as text once more, by its token ids, in a call of its own: which texts
    /// share a call must not depend on the order of replies. Pre: context and target are tokenised.
    void ask_again_by_tokens(std::size_t item, std::size_t target, std::vector<Call>& more);

  private:
    void start_item(std::size_t index, std::vector<Call>& more);
    [[nodiscard]] std::string why_no_chat() const;
    void render(std::size_t index, std::vector<Call>& more);
    void prepare_item(std::size_t index, std::vector<Call>& more);
    [[nodiscard]] bool may_go_as_text(std::size_t item, std::size_t target) const;
    void send_as_text(std::size_t item, std::size_t target, std::vector<Call>& more);
    void make_ready(std::size_t item, std::size_t target);
    [[nodiscard]] bool fits(std::size_t item, std::size_t target);
    void make_ready_if_tokenised(std::size_t item, std::size_t target);
    void hand_out_ready(std::vector<Call>& more);
    void hand_out(std::vector<Ask>& asks, std::vector<Call>& more);
    void look_up(Call call, std::vector<Ask> asks, std::vector<Call>& more);
    void add_call(Call call, std::vector<Ask> asks, std::vector<Call>& more);
    void take_ending(std::size_t place, std::vector<TokenId> tokens, std::vector<Call>& more);
    void give_up(const Ask& ask, std::string_view reason, std::vector<Call>& more);
    void count_requests(const std::vector<Ask>& asks);
    [[nodiscard]] Verdict break_off(std::string reason);
    [[nodiscard]] Verdict take_parsed(const std::vector<Ask>& asks,
                                      const Json& reply,
                                      std::vector<Call>& more);
    [[nodiscard]] Verdict take_rendered(std::size_t item,
                                        const Json& reply,
                                        std::vector<Call>& more);
    [[nodiscard]] Verdict take_tokens(const Ask& ask, const Json& reply, std::vector<Call>& more);

    const Tokeniser* tokeniser_;
    ServerFacts server_;
    ScoreRequest request_;
    ScoreReply reply_;
    Usage usage_;
    CallBook book_;
    std::vector<Item> items_;
    std::vector<Ask> ready_;
    std::vector<Ask> ready_texts_;
    Endings endings_;
    std::string broken_;  // why; empty: not
};

/// By the log-probabilities of the prompt. `wire` and `tokeniser` must outlive the exchange.
[[nodiscard]] std::unique_ptr<Exchange> make_echo_exchange(const EchoWire& wire,
                                                           const Tokeniser* tokeniser,
                                                           const ServerFacts& server,
                                                           ScoreRequest request);

}  // namespace dln::http
