#include "llm/http/client.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/client_impl.hpp"

namespace dln::http {

using std::chrono::milliseconds;

namespace {

/// A single call as an exchange: what Client::ask waits for.
class Question : public Exchange {
  public:
    Question(Call call, Answer& answer, bool& done)
        : call_(std::move(call)), answer_(answer), done_(done) {}
    [[nodiscard]] std::vector<Call> begin() override {
        call_.prompts = 0;
        return {call_};
    }
    [[nodiscard]] Verdict take(std::size_t /*index*/, std::string_view body) override {
        return settle(200, body, {});
    }
    [[nodiscard]] Verdict fail(std::size_t /*index*/,
                               int status,
                               std::string_view body,
                               std::string_view reason) override {
        return settle(status, body, reason);
    }
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] Reply take_reply() override { return {}; }
    [[nodiscard]] Usage usage() const override { return {}; }

  private:
    Verdict settle(int status, std::string_view body, std::string_view reason) {
        answer_ = {.status = status, .body = std::string(body), .reason = std::string(reason)};
        done_ = true;
        return {};
    }
    Call call_;
    Answer& answer_;
    bool& done_;
};

TransportOptions transport_options(const ClientOptions& options) {
    auto result = options.transport;
    result.most_connections = 0;
    for (const auto& endpoint : options.endpoints) {
        result.most_connections +=
            endpoint.most_in_flight + Endpoint::most_look_ups(endpoint.most_in_flight);
    }
    return result;
}

}  // namespace

std::size_t wanted_exchanges(const Counters& so_far, std::size_t places) noexcept {
    constexpr double kAhead = 1.25;  // a call is ready when a place becomes free
    if (so_far.work == 0) return 1;
    const double calls =
        static_cast<double>(so_far.work) / static_cast<double>(std::max(so_far.opened, 1L));
    const double wanted =
        kAhead * static_cast<double>(places) + static_cast<double>(so_far.ended_of_open);
    return static_cast<std::size_t>(std::ceil(wanted / std::max(calls, 1.0)));
}

Client::Impl::Impl(ClientOptions wanted, ModelOf reader)
    : options(std::move(wanted)),
      model_of(std::move(reader)),
      transport(transport_options(options)) {
    bool has_place = false;
    for (std::size_t i = 0; i < options.endpoints.size(); ++i) {
        auto& endpoint = options.endpoints[i];
        // Turned by one an endpoint, so that what is left over does not always go to the same ranks.
        const int rank = static_cast<int>((static_cast<std::size_t>(options.rank) + i) %
                                          static_cast<std::size_t>(options.ranks));
        const auto share = [&](std::int64_t limit) { return share_of(limit, rank, options.ranks); };
        Endpoint::Limits limits{
            .in_flight = options.in_flight,
            .requests_thousandths = share(endpoint.requests_a_minute * 1000),
            .tokens_thousandths = share(endpoint.tokens_a_minute * 1000),
        };
        limits.in_flight.most =
            static_cast<std::size_t>(share(static_cast<std::int64_t>(endpoint.most_in_flight)));
        has_place = has_place || limits.in_flight.most > 0;
        const auto& address = endpoint.connection.address;
        endpoints.emplace_back(endpoint.connection.unix_socket.empty()
                                   ? address.url()
                                   : address.url() + " at " + endpoint.connection.unix_socket,
                               limits, options.breaker);
        transport.add_endpoint(std::move(endpoint.connection), options.place);
    }
    if (!has_place) {
        throw UsageError(
            fmt::format("{}rank {} of {} may have no call in flight. Expected limits of calls in "
                        "flight that give "
                        "each rank one: raise them or start fewer ranks.",
                        place(), options.rank, options.ranks));
    }
}

std::uint64_t Client::Impl::open(std::uint64_t id,
                                 std::unique_ptr<Exchange> exchange,
                                 std::optional<std::size_t> only_endpoint,
                                 bool is_check) {
    if (conversations.size() == checks) {
        dead_since.reset();  // nothing was tried while nothing was asked
    }
    const auto order = next_order++;
    auto& conversation = conversations[order];
    conversation.id = id;
    conversation.exchange = std::move(exchange);
    conversation.only_endpoint = only_endpoint;
    conversation.is_check = is_check;
    questions += only_endpoint ? 1U : 0U;
    counters.opened += only_endpoint ? 0 : 1;
    checks += is_check ? 1U : 0U;
    add_calls(order, conversation, conversation.exchange->begin());
    close_if_done(order);
    return order;
}

void Client::Impl::add_calls(std::uint64_t order,
                             Conversation& conversation,
                             std::vector<Call> calls) {
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < calls.size(); ++i) {  // recalled calls add to the list
        Call call = std::move(calls[i]);
        const auto index = conversation.handed_out++;
        if (recall(conversation, index, call, calls)) {
            continue;
        }
        if (replies.is_all_there_is) {
            return break_off(
                fmt::format("{}replay: {} holds no reply to this call of {}: {}. Nothing was sent. "
                            "Expected the "
                            "job and the program of that run, and its whole journal.",
                            place(), replies.place, call.path, printable(call.body, 200)));
        }
        conversation.calls[index] = {
            .path = std::move(call.path),
            .body = std::make_shared<const std::string>(std::move(call.body)),
            .cost = {.requests = static_cast<double>(call.prompts),
                     .tokens = static_cast<double>(call.estimated_tokens),
                     .output = static_cast<double>(call.estimated_output)},
            .queued = now,
        };
        if (!call.is_look_up()) ++counters.work;
        make_ready({order, index});
    }
}

bool Client::Impl::recall(Conversation& conversation,
                          std::size_t index,
                          const Call& call,
                          std::vector<Call>& more) {
    if (!replies.find || conversation.only_endpoint) {
        return false;
    }
    Verdict verdict;
    if (const auto held = replies.find(call.path, call.body)) {
        verdict = conversation.exchange->take(index, *held);
        if (verdict.kind != Verdict::Kind::taken && verdict.kind != Verdict::Kind::refused) {
            return false;  // not understood any more: asked again
        }
        ++counters.recalled;
    } else if (const auto refused = find_refused(call)) {
        ++counters.failed;
        verdict =
            conversation.exchange->fail(index, refused->status, refused->body, refused->reason);
    } else {
        return false;
    }
    std::move(verdict.more.begin(), verdict.more.end(), std::back_inserter(more));
    return true;
}

std::optional<RefusedCall> Client::Impl::find_refused(const Call& call) const {
    return replies.is_all_there_is ? replies.find_refused(call.path, call.body) : std::nullopt;
}

void Client::Impl::step(Time deadline) {
    const auto now = std::chrono::steady_clock::now();
    wake(now);
    dispatch(now);
    hedge(now);
    const auto until = finished.empty() ? next_wake(deadline, now) : now;
    const auto wait = std::chrono::ceil<milliseconds>(std::max(until - now, Duration(0)));
    for (TransportReply& reply : transport.poll(wait)) {
        if (failure.empty()) {
            handle(std::move(reply));
        }
    }
}

// Called when something has ended, so that patience is never lost without a try that failed after it.
void Client::Impl::check_life(Time now) {
    const auto is_alive = [&](const Endpoint& endpoint) { return endpoint.is_alive(now); };
    if (!failure.empty() || std::any_of(endpoints.begin(), endpoints.end(), is_alive)) {
        dead_since.reset();
        return;
    }
    dead_since = dead_since.value_or(now);
    const bool all_refuse = std::all_of(
        endpoints.begin(), endpoints.end(),
        [](const Endpoint& endpoint) { return endpoint.refuses() || !endpoint.has_place(); });
    if (all_refuse) {
        break_off(fmt::format("{}no endpoint can be used: {}", place(), reasons()));
    } else if (now - *dead_since > options.patience && conversations.size() > checks) {
        break_off(
            fmt::format("{}no endpoint has been alive for {} s: {}", place(),
                        std::chrono::duration_cast<std::chrono::seconds>(now - *dead_since).count(),
                        reasons()));
    }
}

std::string Client::Impl::reasons() const {
    std::string result;
    for (const Endpoint& endpoint : endpoints) {
        if (endpoint.has_place()) {
            result += fmt::format(
                "{}{}: {}", result.empty() ? "" : "; ", endpoint.url(),
                endpoint.last_reason().empty() ? "no call yet" : endpoint.last_reason());
        }
    }
    return result;
}

void Client::Impl::break_off(const std::string& what) {
    failure = what;
    for (auto& [order, conversation] : conversations) {
        for (auto& [index, call] : conversation.calls) {
            give_up_copies(call);
        }
    }
    ready.clear();
    ready_look_ups.clear();
    delayed.clear();
}

Client::Client(ClientOptions options, ModelOf model_of)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(model_of))) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

void Client::submit(std::uint64_t id, std::unique_ptr<Exchange> exchange) {
    if (impl_->failure.empty()) {
        impl_->open(id, std::move(exchange), std::nullopt);
    }
}

std::vector<FinishedExchange> Client::poll(milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (impl_->failure.empty()) {
        impl_->step(deadline);
        if (!impl_->finished.empty() || std::chrono::steady_clock::now() >= deadline) {
            break;
        }
    }
    if (!impl_->failure.empty()) {
        return {};
    }
    return std::exchange(impl_->finished, {});
}

Answer Client::ask(std::size_t endpoint, Call call, milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const Endpoint& asked = impl_->endpoints.at(endpoint);
    Answer answer{.reason = impl_->failure};
    if (!asked.has_place() || asked.refuses()) {
        answer.reason =
            asked.refuses() ? asked.last_reason() : "this rank has no call in flight there";
    }
    if (!answer.reason.empty()) {
        return answer;
    }
    bool done = false;
    const auto order =
        impl_->open(0, std::make_unique<Question>(std::move(call), answer, done), endpoint);
    while (!done && impl_->failure.empty() && std::chrono::steady_clock::now() < deadline) {
        impl_->step(deadline);
    }
    if (!done) {
        answer.reason = impl_->failure;
        if (answer.reason.empty()) {
            answer.reason = asked.last_reason().empty() ? "no answer in time" : asked.last_reason();
        }
        impl_->drop(order);
    }
    return answer;
}

std::size_t Client::pending() const noexcept { return impl_->conversations.size(); }

std::size_t Client::most_in_flight() const noexcept {
    std::size_t sum = 0;
    for (const Endpoint& endpoint : impl_->endpoints) {
        sum += endpoint.most_in_flight();
    }
    return sum;
}

const std::string& Client::failure() const noexcept { return impl_->failure; }

void Client::hold_those_away() { impl_->holds_back = true; }

void Client::check(std::size_t endpoint, std::unique_ptr<Exchange> exchange) {
    if (impl_->failure.empty()) {
        impl_->open(0, std::move(exchange), endpoint, true);
    }
}

std::vector<CheckedEndpoint> Client::take_checked() { return std::exchange(impl_->checked, {}); }

std::vector<std::size_t> Client::held() const {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < impl_->endpoints.size(); ++i) {
        if (impl_->endpoints[i].is_held()) {
            result.push_back(i);
        }
    }
    return result;
}

void Client::release(std::size_t endpoint) { impl_->endpoints.at(endpoint).hold(false); }

void Client::give_up(const std::string& reason) { impl_->break_off(impl_->place() + reason); }

void Client::use(ReplyStore replies) { impl_->replies = std::move(replies); }

Counters Client::counters() const {
    Counters result = impl_->counters;
    for (const Endpoint& endpoint : impl_->endpoints) {
        result.limit_decreases += endpoint.limit_decreases();
        result.breaker_openings += endpoint.breaker_openings();
    }
    return result;
}

}  // namespace dln::http
