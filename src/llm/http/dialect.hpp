#pragma once
// How a kind of server is spoken to, as pure functions from requests to HTTP calls and from replies to
// results. No sockets, clocks, keys or retries here: those are the client's. One implementation a file.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/llm/backend.hpp"

namespace dln::http {

/// One HTTP call that an exchange needs. POST with a JSON body when `body` is not empty, else GET.
struct Call {
    std::string path;  ///< below the endpoint's base address, with a leading slash
    std::string body;  ///< JSON
    /// Tokens that the call costs at most, in and out, for rate limits: an estimate.
    std::int64_t estimated_tokens = 0;
    /// Those of them that are drawn.
    std::int64_t estimated_output = 0;
    /// Prompts in the call: what a server bills as that many requests. 0: a look-up that asks no model
    /// (tokenise, describe), which is quick and takes nothing from the limits.
    int prompts = 1;
    [[nodiscard]] bool is_look_up() const noexcept { return prompts == 0; }
};

/// What became of a reply, or of a call that got none.
struct Verdict {
    enum class Kind {
        taken,      ///< understood; what follows from it is in `more`
        malformed,  ///< cut, garbled, wrong lengths, not finite: the same call may do better again
        refused,  ///< no result can come of this call, or of one of its prompts: asking again is of no
                  ///< use, and what depended on it has failed with a reason
        broken,  ///< the server computes something else than it should: nothing of it may be used.
                 ///< All items of the exchange have failed, and done() is true
    };
    Kind kind = Kind::taken;
    std::string reason;  ///< for people; never contains a key; printable, at most some 300 bytes
    std::vector<Call> more;  ///< calls that have become possible, with `taken` and `refused`
};

/// The conversation about one Request: calls, whose replies may make further calls
/// possible. Calls of an exchange are numbered in the order in which they were handed out. What an exchange
/// makes of replies does not depend on the order in which they come. It must not outlive its dialect.
class Exchange {
  public:
    virtual ~Exchange() = default;
    /// The calls that need nothing. May be empty when nothing can be asked; then done() is true.
    [[nodiscard]] virtual std::vector<Call> begin() = 0;
    /// The reply to call `index`, with HTTP status 200. May be called again for the same index after
    /// `malformed`, which leaves everything as it was. Each call is answered or failed once.
    [[nodiscard]] virtual Verdict take(std::size_t index, std::string_view body) = 0;
    /// Call `index` came to nothing: the server answered `status` (400: what it cannot do; see body), or
    /// the client gave up after its retries (`status` 0 when there is no answer at all). The exchange fails
    /// the items that depended on it, with the server's words or `reason`, and returns `refused`. A list of
    /// prompts is split instead, `taken` with a call for each, when one of them can be the cause: status
    /// 400, 413, 422 or 500, or replies that were malformed.
    [[nodiscard]] virtual Verdict fail(std::size_t index,
                                       int status,
                                       std::string_view body,
                                       std::string_view reason) = 0;
    /// True when every call has been taken or has failed.
    [[nodiscard]] virtual bool done() const = 0;
    /// Scores or texts, a failed item with its error. Pre: done().
    [[nodiscard]] virtual Reply take_reply() = 0;
    /// As Usage in backend.hpp, of the replies taken so far; tokens as the server counted them.
    [[nodiscard]] virtual Usage usage() const = 0;
};

/// What the client knows of a server when it makes calls.
struct ServerFacts {
    std::string model;               ///< the name to send
    int context_tokens = 0;          ///< most tokens of a context with its target or output
    std::size_t prompts_a_call = 1;  ///< most prompts in one call, where the dialect can do lists
    /// Text that plain prompts begin with ("<|im_start|>", "<s>"), scored or continued: for servers whose
    /// echo is right only behind a begin-of-sequence token. Not for chat contexts, whose template has it,
    /// and not for llama-server, whose tokeniser takes it for text. Empty: nothing.
    std::string begin_text;
    bool can_tokenise = false;  ///< the server has a tokeniser endpoint
    bool takes_tokens = true;   ///< prompts may be token ids; false: the tokeniser only counts
    bool renders_chat = false;  ///< its tokeniser takes messages (SGLang: newer versions)
    int slots = 0;              ///< llama-server's slots; 0: unknown
    /// What the server says it is ("vllm", "tgi 3.3.4"): for people, and for fields that not all servers of
    /// a dialect take. Empty: nothing.
    std::string software;
};

class Dialect {
  public:
    virtual ~Dialect() = default;
    /// As /backend/dialect names it.
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;
    [[nodiscard]] virtual bool can_score() const noexcept = 0;
    [[nodiscard]] virtual bool can_generate() const noexcept = 0;
    [[nodiscard]] virtual std::unique_ptr<Exchange> score(const ServerFacts& server,
                                                          ScoreRequest request) const = 0;
    [[nodiscard]] virtual std::unique_ptr<Exchange> generate(const ServerFacts& server,
                                                             GenerateRequest request) const = 0;
    /// By default refused.
    [[nodiscard]] virtual std::unique_ptr<Exchange> embed(const ServerFacts& server,
                                                          EmbedRequest request) const;
    /// The calls by which a server says what it is (models, context length, slots, tokeniser, version).
    [[nodiscard]] virtual std::vector<Call> describe() const = 0;
    /// Learns from the reply to call `index` of describe(); a status other than 200 tells something too.
    /// Returns what is wrong, empty when nothing is (an unknown model name lists those there are).
    [[nodiscard]] virtual std::string learn(std::size_t index,
                                            int status,
                                            std::string_view body,
                                            ServerFacts& server) const = 0;
    /// What requests become, for plans.
    [[nodiscard]] virtual RequestManner manner(const ServerFacts& server) const = 0;
    /// How many tokens a text has, where the server can say (by default it cannot): the call and how to
    /// read its reply.
    [[nodiscard]] virtual std::optional<Call> count_tokens(const ServerFacts& server,
                                                           const Context& context) const;
    [[nodiscard]] virtual std::optional<int> counted_tokens(std::string_view body) const;
    /// The model that a reply says it comes from; empty when it does not say. By default its field
    /// "model". The client compares it with the first one.
    [[nodiscard]] virtual std::string reply_model(std::string_view body) const;
};

/// The manner of dialects whose servers echo prompts: `takes_lists` of prompts, for scores and texts.
[[nodiscard]] RequestManner echo_manner(const ServerFacts& server, bool takes_lists);

/// The dialect of that name: openai, openai-chat, together, sglang, tgi, llama-server, and openai-embeddings, which
/// embeds only. Null: none.
[[nodiscard]] std::unique_ptr<Dialect> make_dialect(std::string_view name);
/// The names of those that score or generate, for messages.
[[nodiscard]] const std::vector<std::string>& dialect_names();

}  // namespace dln::http
