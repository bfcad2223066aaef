#include <algorithm>
#include <utility>

#include "llm/http/client_impl.hpp"

namespace dln::http {

namespace {

constexpr std::size_t kLatenciesNeeded = 16;
constexpr std::int64_t kCallsAHedge = 10;

}  // namespace

void Client::Impl::wake(Time now) {
    while (!delayed.empty() && delayed.begin()->first <= now) {
        make_ready(delayed.begin()->second);
        delayed.erase(delayed.begin());
    }
}

void Client::Impl::make_ready(const CallKey& key) {
    const bool is_look_up = conversations.at(key.order).calls.at(key.index).cost.is_look_up();
    (is_look_up ? ready_look_ups : ready).insert(key);
}

// Look-ups are quick: calls that a model works on go first.
void Client::Impl::dispatch(Time now) {
    dispatch(ready, now);
    dispatch(ready_look_ups, now);
}

void Client::Impl::dispatch(std::set<CallKey>& waiting, Time now) {
    // First come, first served: a call that has to wait holds up all later ones, else a long one would
    // never find the tokens it needs. Questions are held up by their own endpoint only.
    bool held_up = false;
    for (auto it = waiting.begin(); it != waiting.end() && !(held_up && questions == 0);) {
        const CallKey key = *it;
        auto& conversation = conversations.at(key.order);
        auto& call = conversation.calls.at(key.index);
        if (held_up && !conversation.only_endpoint) {
            ++it;
            continue;
        }
        const auto endpoint = endpoint_for(conversation, call, now);
        if (!endpoint) {
            held_up = held_up || !conversation.only_endpoint;
            ++it;
            continue;
        }
        it = waiting.erase(it);
        send(key, call, *endpoint, false, now);
    }
}

std::optional<std::size_t> Client::Impl::endpoint_for(const Conversation& conversation,
                                                      const PendingCall& call,
                                                      Time now) const {
    std::optional<std::size_t> best;
    const auto is_better = [&](std::size_t a, std::size_t b) {
        if ((a == call.last_endpoint) != (b == call.last_endpoint)) {
            return b == call.last_endpoint;  // elsewhere than where it went wrong, or is under way
        }
        return endpoints[a].load() < endpoints[b].load();
    };
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        if (may_use(conversation, i) && endpoints[i].ready_at(call.cost, now) <= now &&
            (!best || is_better(i, *best))) {
            best = i;
        }
    }
    return best;
}

void Client::Impl::send(
    const CallKey& key, PendingCall& call, std::size_t endpoint, bool is_hedge, Time now) {
    if (!call.first_sent) {
        call.first_sent = now;
        counters.queued += std::chrono::duration_cast<std::chrono::microseconds>(now - call.queued);
    } else {
        counters.retried_tokens += static_cast<std::int64_t>(call.cost.tokens);
        counters.further_tries += is_hedge ? 0 : 1;
        counters.failovers += !is_hedge && call.last_endpoint != endpoint ? 1 : 0;
    }
    const bool trial = endpoints[endpoint].on_send(call.cost, now);
    const auto flight = next_flight++;
    call.last_endpoint = endpoint;
    call.copies.push_back(
        {.flight = flight, .endpoint = endpoint, .sent = now, .trial = trial, .hedge = is_hedge});
    flights.emplace(flight, key);
    ++counters.calls;
    counters.hedges += is_hedge ? 1 : 0;
    counters.bytes_sent += static_cast<std::int64_t>(call.body->size());
    transport.send(flight, endpoint, call.path, call.body);
}

std::optional<Duration> Client::Impl::hedge_after() const {
    if (options.hedge_after_medians <= 0 || latencies.size() < kLatenciesNeeded ||
        counters.hedges * kCallsAHedge >= counters.calls) {
        return std::nullopt;
    }
    std::vector<Duration> sorted(latencies.begin(), latencies.end());
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*middle) *
                                                options.hedge_after_medians);
}

void Client::Impl::hedge(Time now) {
    const auto after = hedge_after();
    if (!after || !ready.empty() ||
        !ready_look_ups.empty()) {  // calls that have not been sent at all go first
        return;
    }
    for (auto& [order, conversation] : conversations) {
        for (auto& [index, call] : conversation.calls) {
            if (conversation.only_endpoint || call.copies.size() != 1 ||
                now - call.copies.front().sent < *after) {
                continue;
            }
            const auto endpoint = endpoint_for(conversation, call, now);
            if (endpoint) {
                send({order, index}, call, *endpoint, true, now);
                return;  // one at a time: the allowance is counted anew
            }
        }
    }
}

Time Client::Impl::next_wake(Time deadline, Time now) const {
    Time next = deadline;
    if (!delayed.empty()) {
        next = std::min(next, delayed.begin()->first);
    }
    next = std::min({next, next_send(ready, now), next_send(ready_look_ups, now)});
    if (const auto after = hedge_after(); after && ready.empty() && ready_look_ups.empty()) {
        for (const auto& [order, conversation] : conversations) {
            for (const auto& [index, call] : conversation.calls) {
                if (call.copies.size() == 1 && call.copies.front().sent + *after > now) {
                    next = std::min(next, call.copies.front().sent + *after);
                }
            }
        }
    }
    return next;
}

Time Client::Impl::next_send(const std::set<CallKey>& waiting, Time now) const {
    Time next = Time::max();
    bool held_up = false;
    for (const CallKey& key : waiting) {
        const auto& conversation = conversations.at(key.order);
        if (held_up && !conversation.only_endpoint) {
            continue;
        }
        held_up = held_up || !conversation.only_endpoint;
        const auto& cost = conversation.calls.at(key.index).cost;
        for (std::size_t i = 0; i < endpoints.size(); ++i) {
            if (may_use(conversation, i)) {
                next = std::min(next, endpoints[i].ready_at(cost, now));
            }
        }
        if (held_up && questions == 0) {
            break;
        }
    }
    return next;
}

}  // namespace dln::http
