#include <algorithm>
#include <utility>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/bill.hpp"
#include "llm/http/client_impl.hpp"

namespace dln::http {

using std::chrono::milliseconds;

namespace {

void count_resent(const TransportReply& reply, Counters& counters) {
    counters.calls += reply.resent;
    counters.further_tries += reply.resent;
    counters.faults[static_cast<std::size_t>(TransportFault::reset)] += reply.resent;
}

void count_status(int status, bool is_answer, Counters& counters) {
    if (status == 429) {
        ++counters.too_many;
    } else if (status >= 500 && status < 600) {
        ++counters.server_errors;
    } else if (status == 408 || status == 409 || status == 425) {
        ++counters.come_again;
    } else if (status != 200) {
        ++(is_answer ? counters.answered : counters.refusals);
    }
}

}  // namespace

void Client::Impl::handle(TransportReply reply) {
    const auto now = std::chrono::steady_clock::now();
    const auto flight = flights.extract(reply.id);
    const CallKey key = flight.mapped();
    auto& conversation = conversations.at(key.order);
    auto& call = conversation.calls.at(key.index);
    const auto found = std::find_if(call.copies.begin(), call.copies.end(),
                                    [&](const Copy& copy) { return copy.flight == reply.id; });
    const Copy copy = *found;
    call.copies.erase(found);
    counters.bytes_received += static_cast<std::int64_t>(reply.bytes);
    if (reply.fault != TransportFault::none) {
        ++counters.faults[static_cast<std::size_t>(reply.fault)];
    } else {
        count_status(reply.status, conversation.only_endpoint.has_value(), counters);
    }
    count_resent(reply, counters);

    auto why = assess(reply, options.retry, std::chrono::system_clock::now());
    Verdict verdict;
    if (why.outcome == Outcome::ok) {
        if ((!conversation.only_endpoint || conversation.is_check) &&
            !is_same_model(reply, copy.endpoint)) {
            return;
        }
        verdict = take(key, copy, reply);
        verdict.reason = printable(transport.redacted(copy.endpoint, verdict.reason), 300);
        if (verdict.kind == Verdict::Kind::malformed) {
            ++counters.malformed;
            why = {.outcome = Outcome::retry, .reason = "malformed reply: " + verdict.reason};
        }
    }
    auto& endpoint = endpoints[copy.endpoint];
    for (int i = 0; i < reply.resent; ++i) {
        endpoint.on_resent(call.cost, now);
    }
    endpoint.on_end(call.cost, why, reply.fault, reply.status, copy.trial, call.tries.attempts > 0,
                    copy.sent, now);

    if (holds_back && !endpoint.is_held() && endpoint.is_away(now)) {
        endpoint.hold(true);
    }
    if (why.outcome == Outcome::ok) {
        if (verdict.kind == Verdict::Kind::broken) {
            break_off(fmt::format("{}{}: {}", place(), endpoint.url(), verdict.reason));
            return;
        }
        if (!call.cost.is_look_up()) note_latency(now - copy.sent);
        ++counters.answered;
        counters.hedges_won += copy.hedge ? 1 : 0;
        counters.failed += verdict.kind == Verdict::Kind::refused ? 1 : 0;
        give_up_copies(call);
        if (replies.keep && !conversation.only_endpoint) {
            replies.keep(call.path, *call.body, reply.body);
        }
        settle(key, std::move(verdict));
    } else if (conversation.only_endpoint && why.outcome != Outcome::retry &&
               why.outcome != Outcome::busy) {
        fail_call(key, reply.status, reply.body, fmt::format("{}: {}", endpoint.url(), why.reason));
    } else if (why.outcome == Outcome::fail_item) {
        give_up_copies(call);
        fail_call(key, reply.status, reply.body, fmt::format("{}: {}", endpoint.url(), why.reason));
    } else {
        if (refuses_endpoint(why.outcome)) {
            endpoint.refuse(fmt::format("{} ({}). {}", why.reason, name_of(why.outcome),
                                        advice_for(why.outcome)));
        }
        if (call.copies.empty()) {
            try_again(key, copy, reply, why);
        }
    }
    check_life(now);
}

// Hands a reply to its exchange, and learns from what was counted.
Verdict Client::Impl::take(const CallKey& key, const Copy& copy, const TransportReply& reply) {
    auto& conversation = conversations.at(key.order);
    const auto& cost = conversation.calls.at(key.index).cost;
    const auto tokens = [](const Usage& usage) {
        return usage.prompt_tokens + usage.generated_tokens + usage.discarded_tokens;
    };
    const std::int64_t before = tokens(conversation.exchange->usage());
    Verdict verdict = conversation.exchange->take(key.index, reply.body);
    if (cost.is_look_up()) return verdict;
    std::int64_t counted = tokens(conversation.exchange->usage()) - before;
    if (verdict.kind == Verdict::Kind::malformed) {
        const Usage bill = bill_of_useless(reply.body, cost);
        conversation.discarded += bill;
        counted = tokens(bill);
    }
    if (counted > 0) {
        endpoints[copy.endpoint].on_counted(cost, static_cast<double>(counted),
                                            std::chrono::steady_clock::now());
    }
    return verdict;
}

void Client::Impl::note_latency(Duration latency) {
    latencies.push_back(latency);
    if (latencies.size() > kLatenciesKept) {
        latencies.pop_front();
    }
}

bool Client::Impl::is_same_model(const TransportReply& reply, std::size_t endpoint) {
    const auto said = model_of ? model_of(reply.body) : std::string();
    if (model.empty()) {
        model = said;
    }
    if (said.empty() || said == model) {
        return true;
    }
    break_off(fmt::format(
        "{}{}: the reply comes from model \"{}\", earlier ones from \"{}\". Expected one "
        "model for the whole run, at all endpoints.",
        place(), endpoints[endpoint].url(), printable(transport.redacted(endpoint, said), 100),
        printable(transport.redacted(endpoint, model), 100)));
    return false;
}

void Client::Impl::settle(const CallKey& key, Verdict verdict) {
    auto& conversation = conversations.at(key.order);
    const auto ended = conversation.calls.find(key.index);
    if (!conversation.only_endpoint && !ended->second.cost.is_look_up()) {
        ++conversation.ended_work;
        ++counters.ended_of_open;
    }
    conversation.calls.erase(ended);
    if (verdict.kind == Verdict::Kind::broken) {
        break_off(place() + verdict.reason);
        return;
    }
    add_calls(key.order, conversation, std::move(verdict.more));
    close_if_done(key.order);
}

void Client::Impl::give_up_copies(PendingCall& call) {
    for (const Copy& copy : call.copies) {
        transport.cancel(copy.flight);
        flights.erase(copy.flight);
        endpoints[copy.endpoint].on_cancel(call.cost, copy.trial);
    }
    call.copies.clear();
}

void Client::Impl::try_again(const CallKey& key,
                             const Copy& copy,
                             const TransportReply& reply,
                             const Assessment& why) {
    const auto now = std::chrono::steady_clock::now();
    auto& conversation = conversations.at(key.order);
    auto& call = conversation.calls.at(key.index);
    auto& tries = call.tries;
    tries.attempts += why.outcome == Outcome::retry ? 1 : 0;
    tries.busy += why.outcome == Outcome::busy ? 1 : 0;
    tries.last_was_busy = why.outcome == Outcome::busy;
    tries.since_first = std::chrono::duration_cast<milliseconds>(now - *call.first_sent);
    std::optional<milliseconds> delay = milliseconds(0);
    if (!refuses_endpoint(why.outcome)) {
        auto policy = options.retry;
        if (conversation.only_endpoint && why.outcome == Outcome::busy) {
            policy.total = milliseconds::max();  // the one who asks has a patience of his own
            policy.most_busy_attempts = tries.busy + 1;
        }
        delay = next_delay(policy, tries, why.retry_after,
                           {.seed = options.seed,
                            .step = key.order,
                            .layer = static_cast<std::uint64_t>(options.rank),
                            .role = RandomRole::retry_delay,
                            .example = key.index,
                            .sample = static_cast<std::uint64_t>(tries.attempts + tries.busy)});
    }
    if (!delay) {
        // 500 may be the fault of one prompt of a list: the exchange then asks for each alone.
        const bool tells = conversation.only_endpoint || reply.status == 500;
        fail_call(key, tells ? reply.status : 0, reply.body,
                  fmt::format("given up after {} tries in {} s; the last one: {}: {}",
                              tries.attempts + tries.busy, tries.since_first.count() / 1000,
                              endpoints[copy.endpoint].url(), why.reason));
        return;
    }
    ++counters.retries[static_cast<std::size_t>(why.outcome)];
    counters.backed_off += *delay;
    delayed.emplace(now + *delay, key);
}

void Client::Impl::fail_call(const CallKey& key,
                             int status,
                             std::string_view body,
                             const std::string& reason) {
    auto& conversation = conversations.at(key.order);
    counters.failed += conversation.only_endpoint ? 0 : 1;
    if (replies.keep_refused && !conversation.only_endpoint) {
        const auto& call = conversation.calls.at(key.index);
        replies.keep_refused(call.path, *call.body,
                             {.status = status, .body = std::string(body), .reason = reason});
    }
    conversation.came_to_nothing = true;
    auto verdict = conversation.exchange->fail(key.index, status, body, reason);
    settle(key, std::move(verdict));
}

void Client::Impl::close_if_done(std::uint64_t order) {
    auto& conversation = conversations.at(order);
    if (!conversation.calls.empty() || !failure.empty()) {
        return;
    }
    DLN_ASSERT(conversation.exchange->done(), "exchange {} waits for calls that it never made",
               conversation.id);
    if (conversation.is_check) {
        Usage billed = discarded(conversation.exchange->usage());
        billed += conversation.discarded;
        checked.push_back(
            {.endpoint = *conversation.only_endpoint,
             .exchange = conversation.came_to_nothing ? nullptr : std::move(conversation.exchange),
             .discarded = billed});
    } else if (!conversation.only_endpoint) {
        finished.push_back({.id = conversation.id,
                            .exchange = std::move(conversation.exchange),
                            .discarded = conversation.discarded});
        ++counters.exchanges;
    }
    drop(order);
}

void Client::Impl::drop(std::uint64_t order) {
    const auto found = conversations.find(order);
    if (found == conversations.end()) {
        return;
    }
    for (auto& [index, call] : found->second.calls) {
        give_up_copies(call);
        ready.erase({order, index});
        ready_look_ups.erase({order, index});
    }
    std::erase_if(delayed, [&](const auto& entry) { return entry.second.order == order; });
    counters.ended_of_open -= found->second.ended_work;
    questions -= found->second.only_endpoint ? 1U : 0U;
    checks -= found->second.is_check ? 1U : 0U;
    conversations.erase(found);
}

}  // namespace dln::http
