// The backend seam over a client and a dialect: requests become exchanges, exchanges completions.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/llm/http.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/address.hpp"
#include "llm/http/client.hpp"
#include "llm/http/dialect.hpp"
#include "llm/http/server_facts.hpp"
#include "llm/http/yardstick.hpp"

namespace dln {
namespace {

using namespace http;  // NOLINT(google-build-using-namespace): this file joins the two

// Bytes a token, where the server has no tokeniser: few, so that contexts are rather held for too long.
constexpr std::size_t kBytesPerToken = 3;

std::chrono::milliseconds milliseconds(double seconds) {
    return std::chrono::milliseconds(std::llround(seconds * 1000.0));
}

std::string at(const HttpOptions& options, std::size_t endpoint) {
    return fmt::format("{}/endpoints/{}", options.place, endpoint);
}

Secret key_of(const HttpEndpoint& endpoint, const std::string& place) {
    if (!endpoint.key_env.empty()) {
        return Secret::from_environment(endpoint.key_env, place + "/key_env");
    }
    if (!endpoint.key_file.empty())
        return Secret::from_file(endpoint.key_file, place + "/key_file");
    return {};
}

ClientOptions client_options(const HttpOptions& options) {
    ClientOptions made;
    for (std::size_t i = 0; i < options.endpoints.size(); ++i) {
        const HttpEndpoint& given = options.endpoints[i];
        const std::string place = at(options, i);
        ClientEndpoint endpoint;
        endpoint.connection.address = parse_address(given.address, place + "/address");
        endpoint.connection.unix_socket = given.unix_socket;
        if (!options.replayed) {
            endpoint.connection.key = key_of(given, place);
            endpoint.connection.allow_insecure_key = given.allow_insecure_key;
            endpoint.connection.ca_file = given.ca_file;
        }
        endpoint.most_in_flight = given.in_flight;
        endpoint.requests_a_minute = given.requests_per_minute;
        endpoint.tokens_a_minute = given.tokens_per_minute;
        made.endpoints.push_back(std::move(endpoint));
    }
    made.transport.call_deadline = milliseconds(options.deadline_seconds);
    made.patience = milliseconds(options.patience_seconds);
    made.retry.most_attempts = options.tries;
    // A call that waits out an outage has not been tried for too long.
    made.retry.total = std::max(made.retry.total, made.patience * 2);
    made.hedge_after_medians = options.hedge_after_medians;
    made.rank = options.rank;
    made.ranks = options.ranks;
    made.place = options.place;
    return made;
}

std::unique_ptr<Dialect> dialect_of(const HttpOptions& options) {
    auto dialect = make_dialect(options.dialect);
    if (!dialect) {
        throw UsageError(fmt::format("{}/dialect: unknown dialect \"{}\". Expected one of: {}.",
                                     options.place, options.dialect,
                                     fmt::join(dialect_names(), ", ")));
    }
    return dialect;
}

BackendCounts counts_of(const Counters& met) {
    using std::chrono::duration_cast;
    const auto faults = [&](auto... kinds) {
        return (met.faults[static_cast<std::size_t>(kinds)] + ...);
    };
    using enum TransportFault;
    return {.sent = met.calls,
            .answered = met.answered,
            .failed = met.failed,
            .tried_again = met.further_tries,
            .failovers = met.failovers,
            .copies = met.hedges,
            .copies_won = met.hedges_won,
            .recalled = met.recalled,
            .busy = met.too_many,
            .server_errors = met.server_errors,
            .come_again = met.come_again,
            .refusals = met.refusals,
            .no_connection = faults(resolve, connect, tls, certificate),
            .too_late = faults(deadline),
            .stalled = faults(stall),
            .lost = faults(reset),
            .cut_off = faults(torn),
            .too_large = faults(too_large),
            .other_protocol = faults(protocol),
            .unusable = met.malformed,
            .outages = met.breaker_openings,
            .slow_downs = met.limit_decreases,
            .queued_ms = duration_cast<std::chrono::milliseconds>(met.queued).count(),
            .backed_off_ms = duration_cast<std::chrono::milliseconds>(met.backed_off).count(),
            .bytes_sent = met.bytes_sent,
            .bytes_received = met.bytes_received};
}

class HttpBackend : public Backend {
  public:
    explicit HttpBackend(const HttpOptions& options)
        : options_(options),
          dialect_(dialect_of(options)),
          client_(client_options(options),
                  [this](std::string_view body) { return dialect_->reply_model(body); }) {
        server_ = options_.replayed ? facts_of_replayed() : describe_all();
        info_.kind = "http";
        info_.model = fmt::format("{}:{}", dialect_->name(), server_.model);
        info_.context_tokens = server_.context_tokens;
        info_.manner = dialect_->manner(server_);
        if (options_.replies) use_replies();
        info_.has_chat_template = true;
        info_.description =
            fmt::format("{}{} {}, dialect {}", server_.model,
                        server_.software.empty() ? "" : fmt::format(" ({})", server_.software),
                        where(), dialect_->name());
        info_.facts = facts_json(server_);
    }

    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }

    void submit(std::uint64_t id, Request request) override {
        yardstick_.note_request(id, request);
        const auto exchange_for = [this](auto&& asked) {
            return exchange(std::forward<decltype(asked)>(asked));
        };
        client_.submit(id, std::visit(exchange_for, std::move(request)));
    }

    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override {
        std::vector<Completion> completed;
        for (FinishedExchange& finished : client_.poll(timeout)) {
            Usage usage = finished.exchange->usage();
            usage += finished.discarded;
            usage += std::exchange(billed_for_checks_, {});
            // Of whichever exchange: the sum is what counts.
            const std::int64_t recalled = client_.counters().recalled;
            usage.recalled = recalled - std::exchange(recalled_, recalled);
            completed.push_back({finished.id, finished.exchange->take_reply(), usage});
            yardstick_.note_reply(finished.id, completed.back().reply);
        }
        if (yardstick_.is_set()) {
            client_.hold_those_away();
            check_those_away();
        }
        if (!client_.failure().empty()) throw BackendError(client_.failure());
        return completed;
    }

    [[nodiscard]] bool computes_in_poll() const noexcept override { return false; }

    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return wanted_exchanges(client_.counters(), client_.most_in_flight());
    }

    [[nodiscard]] int count_tokens(const Context& context) override {
        auto call = dialect_->count_tokens(server_, context);
        if (!call) return estimate(context);
        // Kept as it was decided on: a replay must decide the same way.
        const std::string path = "count of tokens by " + call->path;
        const std::string body = call->body;
        if (const auto held = held_count(path, body)) return *held;
        const Answer answer =
            client_.ask(0, std::move(*call), milliseconds(options_.patience_seconds));
        std::optional<int> count;
        if (answer.status == 200) count = dialect_->counted_tokens(answer.body);
        if (!count) count = estimate(context);
        if (options_.replies) {
            options_.replies->keep(info_.model, path, body, std::to_string(*count));
        }
        return *count;
    }

    [[nodiscard]] BackendCounts counts() const override { return counts_of(client_.counters()); }
    [[nodiscard]] bool counts_exactly(const Context& context) const override {
        return dialect_->count_tokens(server_, context).has_value();
    }

  private:
    std::unique_ptr<Exchange> exchange(ScoreRequest request) const {
        return dialect_->score(server_, std::move(request));
    }
    std::unique_ptr<Exchange> exchange(GenerateRequest request) const {
        return dialect_->generate(server_, std::move(request));
    }
    std::unique_ptr<Exchange> exchange(EmbedRequest request) const {
        return dialect_->embed(server_, std::move(request));
    }

    // Endpoints that were away may be another server now: what was scored before must score the same.
    void check_those_away() {
        for (const std::size_t endpoint : client_.held()) {
            if (!checking_.insert(endpoint).second) continue;
            client_.check(endpoint, dialect_->score(server_, yardstick_.request()));
        }
        for (CheckedEndpoint& checked : client_.take_checked()) {
            checking_.erase(checked.endpoint);
            billed_for_checks_ += checked.discarded;
            if (!checked.exchange) continue;  // not answered: checked again
            const std::string wrong = yardstick_.compare(checked.exchange->take_reply());
            if (wrong.empty()) {
                client_.release(checked.endpoint);
            } else {
                client_.give_up(fmt::format(
                    "{} was away and now computes something else: {}. Expected the same model, "
                    "started the same way. Start it again as it was, then the same command.",
                    options_.endpoints[checked.endpoint].address, wrong));
            }
        }
    }

    void use_replies() {
        PaidReplies& replies = *options_.replies;
        client_.use(
            {.find = [&](const std::string& path, const std::string& body)
                 -> std::optional<std::string> { return replies.find(info_.model, path, body); },
             .keep =
                 [&](const std::string& path, const std::string& body, const std::string& reply) {
                     replies.keep(info_.model, path, body, reply);
                 },
             .keep_refused =
                 [&](const std::string& path, const std::string& body, const RefusedCall& refused) {
                     replies.keep_refused(info_.model, path, body, refused);
                 },
             .is_all_there_is = options_.replayed.has_value(),
             .find_refused = [&](const std::string& path,
                                 const std::string& body) -> std::optional<RefusedCall> {
                 return replies.find_refused(info_.model, path, body);
             },
             .place = options_.replayed ? options_.replayed->path : std::string()});
    }

    static int estimate(const Context& context) {
        return static_cast<int>(context.text.size() / kBytesPerToken + 1);
    }

    [[nodiscard]] std::optional<int> held_count(const std::string& path,
                                                const std::string& body) const {
        if (!options_.replies) return std::nullopt;
        if (const auto held = options_.replies->find(info_.model, path, body)) {
            int count = 0;
            const auto read = std::from_chars(held->data(), held->data() + held->size(), count);
            if (read.ec == std::errc()) return count;
        }
        if (!options_.replayed) return std::nullopt;
        throw BackendError(fmt::format(
            "{}: replay: {} does not hold this {}: {}. Nothing was sent. Expected the job and the "
            "program of that run, and its whole journal.",
            options_.place, options_.replayed->path, path, printable(body, 200)));
    }

    [[nodiscard]] ServerFacts facts_of_replayed() const {
        ServerFacts server;
        server.prompts_a_call = options_.prompts_a_call;
        server.begin_text = options_.begin_text;
        const std::string wrong = read_facts(options_.replayed->facts, server);
        if (!wrong.empty()) {
            throw UsageError(fmt::format("{}: what its servers said of themselves: {}",
                                         options_.replayed->path, wrong));
        }
        return server;
    }

    [[nodiscard]] std::string where() const {
        if (options_.replayed) {
            return fmt::format("replayed from {}, nothing is sent", options_.replayed->path);
        }
        const std::size_t more = options_.endpoints.size() - 1;
        return fmt::format("at {}{}", options_.endpoints.front().address,
                           more == 0 ? std::string() : fmt::format(" and {} more", more));
    }

    ServerFacts describe_all() {
        ServerFacts server = describe(0);
        for (std::size_t i = 1; i < options_.endpoints.size(); ++i) {
            const ServerFacts other = describe(i);
            if (other.model != server.model) {
                throw BackendError(fmt::format(
                    "{} serves \"{}\", but {} serves \"{}\". Endpoints of one backend must serve "
                    "the same model.",
                    at(options_, i), other.model, at(options_, 0), server.model));
            }
            server.context_tokens = std::min(server.context_tokens, other.context_tokens);
        }
        return server;
    }

    [[nodiscard]] std::string told(std::size_t endpoint, const std::string& what) const {
        return fmt::format("{}: {}: {}", at(options_, endpoint),
                           options_.endpoints[endpoint].address, what);
    }

    // A server may still be loading its model: it is waited for, but not without a word.
    Answer ask_patiently(std::size_t endpoint, const Call& call) {
        using Clock = std::chrono::steady_clock;
        constexpr std::chrono::seconds kSilent{5};
        constexpr std::chrono::seconds kBetween{60};
        const auto end = Clock::now() + milliseconds(options_.patience_seconds);
        std::chrono::milliseconds slice = kSilent;
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
            Answer answer = client_.ask(endpoint, call, std::min(slice, left));
            if (answer.status != 0 || !client_.failure().empty() || Clock::now() >= end) {
                return answer;
            }
            if (options_.rank == 0) {
                spdlog::warn("{}, waiting for up to {:g} s ({}/patience_seconds)",
                             told(endpoint, answer.reason), options_.patience_seconds,
                             options_.place);
            }
            slice = kBetween;
        }
    }

    ServerFacts describe(std::size_t endpoint) {
        ServerFacts server;
        server.model = options_.model;
        server.prompts_a_call = options_.prompts_a_call;
        server.begin_text = options_.begin_text;
        const std::vector<Call> calls = dialect_->describe();
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const Answer answer = ask_patiently(endpoint, calls[i]);
            if (answer.status == 0) {
                throw UnreachableError(told(endpoint, answer.reason));
            }
            const std::string wrong = dialect_->learn(i, answer.status, answer.body, server);
            if (!wrong.empty()) {
                throw BackendError(told(endpoint, wrong));
            }
        }
        server.context_tokens = server.context_tokens == 0
                                    ? options_.context_tokens
                                    : std::min(server.context_tokens, options_.context_tokens);
        return server;
    }

    HttpOptions options_;
    std::unique_ptr<Dialect> dialect_;
    Client client_;
    ServerFacts server_;
    BackendInfo info_;
    Yardstick yardstick_;
    std::set<std::size_t> checking_;  // endpoints that were away
    std::int64_t recalled_ = 0;       // told so far
    Usage billed_for_checks_;         // not told yet
};

}  // namespace

const std::vector<std::string>& http_dialects() { return dialect_names(); }

std::unique_ptr<Backend> make_http_backend(const HttpOptions& options) {
    if (options.endpoints.empty()) {
        throw UsageError(
            fmt::format("{}/endpoints: none. Expected at least one address.", options.place));
    }
    return std::make_unique<HttpBackend>(options);
}

}  // namespace dln
