#pragma once
// The inside of Client: what is pending, in which order, and on which copies of which calls it waits.
// client.cpp begins and ends, client_sending.cpp decides what is sent where and when,
// client_receiving.cpp what a reply means. Private to these three.

#include <chrono>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llm/http/client.hpp"
#include "llm/http/endpoint.hpp"

namespace dln::http {

/// Where a call stands in the order of sending.
struct CallKey {
    std::uint64_t order = 0;  ///< of its exchange
    std::size_t index = 0;
    friend auto operator<=>(const CallKey&, const CallKey&) = default;
};

/// One of the (at most two) copies of a call that are under way.
struct Copy {
    std::uint64_t flight = 0;
    std::size_t endpoint = 0;
    Time sent;
    bool trial = false;
    bool hedge = false;
};

struct PendingCall {
    std::string path;
    std::shared_ptr<const std::string> body;
    CallCost cost;
    Time queued;
    std::optional<Time> first_sent;
    Tries tries;
    std::optional<std::size_t> last_endpoint;
    std::vector<Copy> copies;
};

struct Conversation {
    std::uint64_t id = 0;
    std::unique_ptr<Exchange> exchange;
    std::size_t handed_out = 0;
    std::int64_t ended_work = 0;               ///< calls that ended, without look-ups
    std::map<std::size_t, PendingCall> calls;  ///< neither taken nor failed
    std::optional<std::size_t> only_endpoint;  ///< of a question; whatever it answers is the answer
    bool is_check = false;                     ///< of an endpoint that was away
    bool came_to_nothing = false;              ///< a call of it did
    Usage discarded;                           ///< what replies of no use are billed for
};

/// Latencies that the median is taken from.
inline constexpr std::size_t kLatenciesKept = 64;

struct Client::Impl {
    ClientOptions options;
    ModelOf model_of;
    ReplyStore replies;
    Transport transport;
    std::vector<Endpoint> endpoints;
    std::map<std::uint64_t, Conversation> conversations;  ///< by order of submission
    std::set<CallKey> ready;                              ///< to be sent, in this order
    std::set<CallKey> ready_look_ups;  ///< likewise; the two do not wait for each other
    std::multimap<Time, CallKey> delayed;
    std::unordered_map<std::uint64_t, CallKey> flights;
    std::vector<FinishedExchange> finished;
    std::deque<Duration> latencies;  ///< of the last good replies
    std::vector<CheckedEndpoint> checked;
    bool holds_back = false;
    std::size_t questions = 0;  ///< checks included
    std::size_t checks = 0;
    std::uint64_t next_order = 0;
    std::uint64_t next_flight = 0;
    std::string model;
    std::string failure;
    std::optional<Time> dead_since;
    Counters counters;

    Impl(ClientOptions wanted, ModelOf reader);
    std::uint64_t open(std::uint64_t id,
                       std::unique_ptr<Exchange> exchange,
                       std::optional<std::size_t> only_endpoint,
                       bool is_check = false);
    void add_calls(std::uint64_t order, Conversation& conversation, std::vector<Call> calls);
    /// Answers a call from the replies that are held; the calls that follow from it are added to `more`.
    [[nodiscard]] bool recall(Conversation& conversation,
                              std::size_t index,
                              const Call& call,
                              std::vector<Call>& more);
    [[nodiscard]] std::optional<RefusedCall> find_refused(const Call& call) const;
    void step(Time deadline);
    // Sending.
    void wake(Time now);
    void dispatch(Time now);
    void dispatch(std::set<CallKey>& waiting, Time now);
    void make_ready(const CallKey& key);
    void hedge(Time now);
    [[nodiscard]] std::optional<std::size_t> endpoint_for(const Conversation& conversation,
                                                          const PendingCall& call,
                                                          Time now) const;
    void send(const CallKey& key, PendingCall& call, std::size_t endpoint, bool is_hedge, Time now);
    /// Whether calls of the conversation may go there at all.
    [[nodiscard]] bool may_use(const Conversation& conversation, std::size_t endpoint) const {
        return conversation.only_endpoint ? conversation.only_endpoint == endpoint
                                          : !endpoints[endpoint].is_held();
    }
    [[nodiscard]] Time next_wake(Time deadline, Time now) const;
    [[nodiscard]] Time next_send(const std::set<CallKey>& waiting, Time now) const;
    [[nodiscard]] std::optional<Duration> hedge_after() const;
    // Receiving.
    void handle(TransportReply reply);
    [[nodiscard]] Verdict take(const CallKey& key, const Copy& copy, const TransportReply& reply);
    void note_latency(Duration latency);
    [[nodiscard]] bool is_same_model(const TransportReply& reply, std::size_t endpoint);
    void settle(const CallKey& key, Verdict verdict);
    void give_up_copies(PendingCall& call);
    void try_again(const CallKey& key,
                   const Copy& copy,
                   const TransportReply& reply,
                   const Assessment& why);
    void fail_call(const CallKey& key,
                   int status,
                   std::string_view body,
                   const std::string& reason);
    void close_if_done(std::uint64_t order);
    void drop(std::uint64_t order);
    // The end.
    void check_life(Time now);
    void break_off(const std::string& what);
    [[nodiscard]] std::string reasons() const;
    [[nodiscard]] std::string place() const {
        return options.place.empty() ? std::string() : options.place + ": ";
    }
};

}  // namespace dln::http
