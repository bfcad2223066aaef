#pragma once
// The seam between the program and language models: submit requests, collect completions in any order.
// Implementations: scripted/ (replies from a hash or a file), embedded/ (llama.cpp), http/, and for embeddings
// alone ngrams/; one object a rank, used by that rank's single thread. A request is a group of items (the
// block of one unit): a backend may share work between the items of one request, and a result must depend on
// the request alone, never on other requests or on what was computed before.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dln/llm/backend_counts.hpp"
#include "dln/llm/request_cost.hpp"

namespace dln {

/// The context of one call.
struct Context {
    std::string text;
    /// Render `text` as the one user message of the model's own chat template.
    bool chat = false;
    /// The first `shared_bytes` bytes of `text` are the same for all units of one candidate, so that a
    /// backend can keep what it computed for them. A hint: it never changes which tokens are scored.
    std::size_t shared_bytes = 0;
    friend bool operator==(const Context&, const Context&) = default;
};

/// Score every target after the context. A target includes its separator.
struct ScoreItem {
    Context context;
    std::vector<std::string> targets;
};
struct ScoreRequest {
    std::vector<ScoreItem> items;
};

/// Draw one continuation. `seed` fixes the sample; temperature 0 takes the most probable token.
struct GenerateItem {
    Context context;
    std::uint64_t seed = 0;
};
struct GenerateRequest {
    std::vector<GenerateItem> items;
    int max_tokens = 64;
    double temperature = 0.0;
    double top_p = 1.0;
    /// Generation ends before the first of these strings; none may be empty.
    std::vector<std::string> stop;
};

/// Embed every text: a vector for each, such that near texts have vectors of a small angle.
struct EmbedRequest {
    std::vector<std::string> texts;  ///< none is empty
};
using Request = std::variant<ScoreRequest, GenerateRequest, EmbedRequest>;

/// Natural-log probabilities of a target's tokens, or why there are none. Never a sentinel.
struct TargetScore {
    std::vector<double> token_log_probs;
    std::string error;
    [[nodiscard]] bool ok() const noexcept { return error.empty(); }
};
/// scores[item][target].
struct ScoreReply {
    std::vector<std::vector<TargetScore>> scores;
};

struct GeneratedText {
    std::string text;
    int tokens = 0;
    /// True when max_tokens ended it.
    bool cut = false;
    std::string error;
    [[nodiscard]] bool ok() const noexcept { return error.empty(); }
};
struct GenerateReply {
    std::vector<GeneratedText> texts;
};

/// The vector of a text: finite numbers, as many as the model gives to every text; or why there is none.
struct Embedding {
    std::vector<float> values;
    std::string error;
    [[nodiscard]] bool ok() const noexcept { return error.empty(); }
};
struct EmbedReply {
    std::vector<Embedding> embeddings;  ///< one a text
};
using Reply = std::variant<ScoreReply, GenerateReply, EmbedReply>;

/// The reply to `request` in which every item has failed with `why`.
[[nodiscard]] Reply failed_reply(const Request& request, const std::string& why);

/// What a request cost. All are sums over the request's items. A reply that a journal held counts like one
/// that was sent for.
struct Usage {
    std::int64_t calls = 0;  ///< items: what a client without sharing would have sent
    std::int64_t standalone_tokens =
        0;  ///< tokens of contexts and targets as if each item were alone
    std::int64_t evaluated_tokens = 0;  ///< tokens that the model really processed
    std::int64_t generated_tokens =
        0;                      ///< tokens of texts (part of evaluated_tokens): billed as output
    std::int64_t recalled = 0;  ///< replies that a journal held, so that nothing was sent
    /// Prompts that a model was asked to score or to continue, as servers count and bill them: each prompt
    /// of a list is one, and each further try after a reply that came but was of no use. Not look-ups such
    /// as a server's tokeniser, nor tries without a reply: nobody knows whether those are billed.
    std::int64_t requests = 0;
    /// Tokens of those prompts as the server counted them, cached ones included: what is billed as input.
    /// Estimated where a server does not say.
    std::int64_t prompt_tokens = 0;
    /// Tokens that were generated and thrown away: the one that servers generate beside a score, and those
    /// of replies that were of no use. Billed as output, as generated_tokens are, and like the requests a
    /// matter of what happened on the way: generated_tokens depend on the replies alone.
    std::int64_t discarded_tokens = 0;
    Usage& operator+=(const Usage& other);
    friend bool operator==(const Usage&, const Usage&) = default;
};
/// What is left of a usage whose results were thrown away: what it is billed for.
[[nodiscard]] Usage discarded(const Usage& usage);

struct Completion {
    std::uint64_t id = 0;
    Reply reply;
    Usage usage;
};

/// What is known of a backend before the first request.
struct BackendInfo {
    std::string kind;        ///< "scripted", "embedded"
    std::string model;       ///< identity: name, weights' digest or size, weight and cache types
    int context_tokens = 0;  ///< the most tokens that one context with its target may have
    bool has_chat_template = false;
    std::string description;  ///< one line for people
    /// What servers said of themselves, as JSON: what a replay without them needs. Empty elsewhere.
    std::string facts;
    RequestManner manner;  ///< what requests become, for plans
};

class Backend {
  public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual const BackendInfo& info() const noexcept = 0;
    /// Takes a request; its completion will carry `id`. Never blocks and never fails: errors are in the
    /// reply. Pre: no request with this id is pending.
    virtual void submit(std::uint64_t id, Request request) = 0;
    /// Makes progress for one bounded piece of work (one llama.cpp decode, one poll of the sockets, at
    /// most `timeout` of waiting) and returns what has been completed.
    [[nodiscard]] virtual std::vector<Completion> poll(std::chrono::milliseconds timeout) = 0;
    /// False: poll waits for what others compute. True: the work is done in poll, which never waits.
    [[nodiscard]] virtual bool computes_in_poll() const noexcept { return true; }
    /// How many requests should be pending to keep the backend busy.
    [[nodiscard]] virtual std::size_t wanted_requests() const noexcept = 0;
    /// Tokens of the context as it would be sent, chat template included.
    [[nodiscard]] virtual int count_tokens(const Context& context) = 0;
    /// What became of its calls so far; nothing where there are none.
    [[nodiscard]] virtual BackendCounts counts() const { return {}; }
    /// False: nobody can count the tokens of such a context but the model when it is asked, and
    /// count_tokens guesses.
    [[nodiscard]] virtual bool counts_exactly(const Context& /*context*/) const { return true; }
};

/// Runs one request to its end: for commands and tests that have nothing else to do meanwhile.
/// Pre: nothing is pending on `backend`.
[[nodiscard]] Completion run_request(Backend& backend, Request request);
/// Runs requests beside each other; completions in the order of the requests. Pre: the same.
[[nodiscard]] std::vector<Completion> run_requests(Backend& backend, std::vector<Request> requests);

}  // namespace dln
