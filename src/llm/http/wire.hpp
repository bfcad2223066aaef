#pragma once
// What differs between servers when a text is tokenised, scored or generated: the calls' bodies and how
// their replies are read. What must hold of the replies is checked by the exchanges. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/http/dialect.hpp"
#include "llm/http/strict_json.hpp"

namespace dln::http {

/// A chat context as the text that the model's template makes of it.
struct RenderedChat {
    std::string text;
    bool has_text = false;
    std::vector<TokenId> tokens;  ///< empty: not known
};

/// A server's tokeniser.
class Tokeniser {
  public:
    virtual ~Tokeniser() = default;
    /// `is_rendered`: the text comes from the chat template, control tokens and all.
    [[nodiscard]] virtual Call tokenise(const ServerFacts& server,
                                        std::string_view text,
                                        bool is_rendered) const = 0;
    /// Nothing: malformed.
    [[nodiscard]] virtual std::optional<std::vector<TokenId>> read_tokens(
        const Json& reply) const = 0;
    /// How many there are. Nothing: malformed.
    [[nodiscard]] std::optional<int> count(const Json& reply) const;
    /// Why chat contexts cannot be rendered, and what to do; empty: they can.
    [[nodiscard]] virtual std::string why_no_chat(const ServerFacts& server) const = 0;
    /// The next call that brings `so_far` to its text. Pre: there is no reason why not.
    [[nodiscard]] virtual Call render(const ServerFacts& server,
                                      std::string_view text,
                                      const RenderedChat& so_far) const;
    /// False: malformed.
    [[nodiscard]] virtual bool read_rendered(const Json& reply, RenderedChat& so_far) const;
};

/// A text to be scored: a context with its target, or a context alone whose tokens are to be counted.
struct EchoPrompt {
    std::string text;
    std::size_t begin_bytes = 0;   ///< of the text: the begin text
    std::vector<TokenId> tokens;   ///< of the text; empty: not known
    std::size_t first_wanted = 0;  ///< token whose log-probability is the first that is needed
};

/// What came back for one prompt: an entry for each of its tokens from `place` on, then perhaps some that
/// were generated.
struct Echo {
    std::size_t place = 0;
    std::vector<const Json*> values;  ///< log-probabilities as sent; point into the reply
    std::vector<std::string> texts;   ///< as many as values, or none
    std::vector<TokenId> ids;  ///< of the prompt, then perhaps of what was generated; or none
};

/// Tokens as a reply counts them, over all its prompts.
struct CountedTokens {
    std::optional<std::int64_t> prompt;
    std::optional<std::int64_t> completion;
    std::int64_t cached = 0;
};

struct EchoReply {
    Verdict::Kind kind = Verdict::Kind::taken;
    std::string reason;
    std::vector<Echo> echoes;  ///< one a prompt, in their order
    CountedTokens counted;
};

/// Scoring by asking for the log-probabilities of the prompt itself.
class EchoWire {
  public:
    virtual ~EchoWire() = default;
    [[nodiscard]] virtual std::size_t prompts_a_call(const ServerFacts& server) const = 0;
    /// Whether the echo of a text names its token ids, so that texts can be sent before they are tokenised.
    [[nodiscard]] virtual bool names_tokens_of_texts(const ServerFacts& /*server*/) const {
        return false;
    }
    /// Only prompts of one item may share a call.
    [[nodiscard]] virtual bool one_item_a_call() const { return false; }
    [[nodiscard]] virtual Call score(const ServerFacts& server,
                                     std::span<const EchoPrompt> prompts) const = 0;
    [[nodiscard]] virtual EchoReply read(const Json& reply,
                                         std::span<const EchoPrompt> prompts) const = 0;
};

/// A text to be continued. Several in one call differ in nothing else.
struct WritePrompt {
    std::string_view text;
    bool chat = false;
    std::span<const TokenId> tokens;  ///< of the text; empty: not known
    std::uint32_t seed = 0;           ///< below 2^31, which all servers take
};

struct Written {
    std::string text;
    bool cut = false;  ///< a limit of tokens ended it
    std::optional<int> tokens;
    std::string error;  ///< why there is no text although the reply is well-formed
};

struct WriteReply {
    std::string malformed;  ///< why; empty: `texts` has one for each prompt, in their order
    std::vector<Written> texts;
    CountedTokens counted;
};

class WriteWire {
  public:
    virtual ~WriteWire() = default;
    [[nodiscard]] virtual std::size_t prompts_a_call(const ServerFacts& server) const = 0;
    /// Why such a context is not written for, and what to do; empty: it is.
    [[nodiscard]] virtual std::string why_not(bool chat) const = 0;
    /// True: plain contexts are tokenised first and sent as token ids.
    [[nodiscard]] virtual bool wants_tokens() const { return false; }
    [[nodiscard]] virtual Call write(const ServerFacts& server,
                                     const GenerateRequest& request,
                                     std::span<const WritePrompt> prompts) const = 0;
    [[nodiscard]] virtual WriteReply read(const Json& reply,
                                          std::span<const WritePrompt> prompts) const = 0;
};

/// As parse_reply(); a reply that is an error in the server's words is none of use either.
[[nodiscard]] ParsedReply parse_answer(std::string_view body);

/// What a call comes to that got no reply of use: refused, with the server's words or the client's `reason`, as
/// Exchange::fail() has them.
[[nodiscard]] Verdict given_up(int status, std::string_view body, std::string_view reason);

/// Tokens that `bytes` of text have at most, or nearly: an estimate for rate limits.
[[nodiscard]] std::int64_t estimated_tokens(std::size_t bytes);

/// The message of an item whose tokens do not fit.
[[nodiscard]] std::string too_long(std::size_t context_tokens, std::size_t more, int limit);

}  // namespace dln::http
