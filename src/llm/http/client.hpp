#pragma once
// The client of one model that one or more endpoints serve: takes exchanges, sends their calls as far as
// limits allow, tries them again, goes to another endpoint, and gives back exchanges that are done. One
// object a rank, no threads. Calls are sent in the order of their exchanges; replies come in any order.
//
// What a single call meets ends in its exchange, as a failed item. What ends all work is failure(): every
// endpoint refuses, or none has been alive for too long, or a server computes something else than it
// should. The caller makes a BackendError of it.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/llm/http.hpp"

#include "llm/http/dialect.hpp"
#include "llm/http/limits.hpp"
#include "llm/http/retry.hpp"
#include "llm/http/transport.hpp"

namespace dln::http {

/// An endpoint and its limits, which hold for all ranks together.
struct ClientEndpoint {
    EndpointOptions connection;
    std::size_t most_in_flight = 16;
    std::int64_t requests_a_minute = 0;  ///< prompts, as servers count; 0: no limit
    std::int64_t tokens_a_minute = 0;    ///< in and out; 0: no limit
};

/// Where replies are looked up before a call is sent, and kept when one has been understood.
struct ReplyStore {
    std::function<std::optional<std::string>(const std::string& path, const std::string& body)>
        find;
    std::function<void(const std::string& path, const std::string& body, const std::string& reply)>
        keep;
    std::function<void(const std::string& path, const std::string& body, const RefusedCall&)>
        keep_refused;
    /// Nothing is sent: calls come to nothing as they did before, and one that was not made before ends
    /// all work.
    bool is_all_there_is = false;
    std::function<std::optional<RefusedCall>(const std::string& path, const std::string& body)>
        find_refused;
    std::string place;  ///< where they are held, for messages
};

struct ClientOptions {
    std::vector<ClientEndpoint> endpoints;
    TransportOptions transport;  ///< most_connections follows from the endpoints
    RetryPolicy retry;
    InFlightOptions in_flight;  ///< `most` follows from the endpoints
    BreakerOptions breaker;
    /// A second copy of a call that takes so many times the median of recent calls; 0: never. At most one
    /// call in ten gets one.
    double hedge_after_medians = 0.0;
    /// How long no endpoint may be alive while calls wait.
    std::chrono::milliseconds patience{600'000};
    std::uint64_t seed = 0;  ///< of the jitter
    int rank = 0;
    int ranks = 1;
    std::string place;  ///< begins messages: file and pointer
};

/// What has happened so far, for people and metrics.
struct Counters {
    std::int64_t opened = 0;                        ///< exchanges, finished or not
    std::int64_t work = 0;                          ///< calls that exchanges made, without look-ups
    std::int64_t ended_of_open = 0;                 ///< of `work`, ended in exchanges not finished
    std::int64_t exchanges = 0;                     ///< finished
    std::int64_t recalled = 0;                      ///< calls whose reply was held already
    std::int64_t calls = 0;                         ///< sent, further tries and copies included
    std::int64_t answered = 0;                      ///< understood replies
    std::array<std::int64_t, kOutcomes> retries{};  ///< calls tried again, by the class of outcome
    std::array<std::int64_t, kTransportFaults> faults{};
    std::int64_t malformed = 0;      ///< replies with status 200 that were none
    std::int64_t too_many = 0;       ///< replies with status 429
    std::int64_t server_errors = 0;  ///< 5xx
    std::int64_t come_again = 0;     ///< 408, 409, 425
    std::int64_t refusals = 0;       ///< any other status but 200
    std::int64_t failed = 0;         ///< calls that came to nothing, by refusal or too many tries
    std::int64_t further_tries = 0;
    std::int64_t failovers = 0;  ///< further tries that went to another endpoint
    std::int64_t hedges = 0;
    std::int64_t hedges_won = 0;  ///< where the copy replied first
    std::int64_t bytes_sent = 0;  ///< bodies
    std::int64_t bytes_received = 0;
    std::int64_t retried_tokens = 0;  ///< estimated tokens of further tries and copies
    std::int64_t limit_decreases = 0;
    std::int64_t breaker_openings = 0;
    std::chrono::microseconds queued{0};      ///< sum over calls, until they were first sent
    std::chrono::microseconds backed_off{0};  ///< sum over delays before further tries
};

/// How many exchanges should be open to keep `places` calls in flight. How many calls one makes is seen from
/// those so far. Where latencies are spread widely, most open ones have few calls left: what has ended of
/// them fills no place.
[[nodiscard]] std::size_t wanted_exchanges(const Counters& so_far, std::size_t places) noexcept;

struct FinishedExchange {
    std::uint64_t id = 0;
    std::unique_ptr<Exchange> exchange;
    Usage discarded;  ///< what replies of no use are billed for
};

/// How a check ended: what was asked, or nothing when a call of it got no answer.
struct CheckedEndpoint {
    std::size_t endpoint = 0;
    std::unique_ptr<Exchange> exchange;
    Usage discarded;  ///< what it is billed for, replies of no use included
};

/// The answer to a single call; status 0: none, see `reason`.
struct Answer {
    int status = 0;
    std::string body;
    std::string reason;
};

class Client {
  public:
    /// The model that a reply says it comes from (Dialect::reply_model).
    using ModelOf = std::function<std::string(std::string_view body)>;
    /// Throws UsageError as Transport::add_endpoint does, and when no endpoint has a place for this rank.
    Client(ClientOptions options, ModelOf model_of);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();
    /// Takes an exchange. Never blocks. Pre: no exchange of this id is pending.
    void submit(std::uint64_t id, std::unique_ptr<Exchange> exchange);
    /// Works for at most `timeout` and returns as soon as some exchange is done. After failure() nothing
    /// comes any more.
    [[nodiscard]] std::vector<FinishedExchange> poll(std::chrono::milliseconds timeout);
    /// Asks one endpoint and waits: for what a server says of itself. Tries again for at most `patience`
    /// while there is no connection or the server is busy; any other status is an answer. Exchanges go on
    /// meanwhile and are handed out by the next poll.
    [[nodiscard]] Answer ask(std::size_t endpoint, Call call, std::chrono::milliseconds patience);
    /// Exchanges that are not done.
    [[nodiscard]] std::size_t pending() const noexcept;
    /// Calls that this rank may have in flight, over all endpoints.
    [[nodiscard]] std::size_t most_in_flight() const noexcept;
    /// Why nothing can be computed any more, with each endpoint's reason; empty while it can.
    [[nodiscard]] const std::string& failure() const noexcept;
    [[nodiscard]] Counters counters() const;
    /// From now on an endpoint whose breaker opens gets nothing but questions and checks until release().
    void hold_those_away();
    /// Endpoints that are held.
    [[nodiscard]] std::vector<std::size_t> held() const;
    /// Sends an exchange to this endpoint only, as soon as it may be tried. Not looked up nor kept.
    void check(std::size_t endpoint, std::unique_ptr<Exchange> exchange);
    /// Checks that have ended since the last time.
    [[nodiscard]] std::vector<CheckedEndpoint> take_checked();
    void release(std::size_t endpoint);
    /// Ends all work with this reason, as failure().
    void give_up(const std::string& reason);
    /// From now on replies of exchanges are looked up and kept there; questions (ask) never are.
    void use(ReplyStore replies);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace dln::http
