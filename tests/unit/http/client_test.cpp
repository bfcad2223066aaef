// Exchanges over endpoints that fail in the ways endpoints do.

#include "llm/http/client.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "dln/error.hpp"

#include "unit/http/loopback_server.hpp"

namespace dln::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kCanary = "sk-canary-0123456789abcdef";

/// Calls with the bodies given. Takes a reply that begins with "ok"; what else there is it says itself.
class Talk : public Exchange {
  public:
    explicit Talk(std::vector<std::string> bodies, std::int64_t tokens = 0)
        : bodies_(std::move(bodies)), tokens_(tokens) {}
    [[nodiscard]] std::vector<Call> begin() override {
        std::vector<Call> calls;
        for (const auto& body : bodies_) {
            calls.push_back(call(body));
        }
        return calls;
    }
    [[nodiscard]] Verdict take(std::size_t index, std::string_view body) override {
        if (body.starts_with("broken")) {
            return {.kind = Verdict::Kind::broken, .reason = std::string(body)};
        }
        if (body.starts_with("refused")) {
            results.push_back("refused");
            return {.kind = Verdict::Kind::refused, .reason = std::string(body)};
        }
        if (!body.starts_with("ok")) {
            return {.kind = Verdict::Kind::malformed, .reason = "no ok in " + std::string(body)};
        }
        results.push_back(std::to_string(index) + " " + std::string(body));
        usage_.prompt_tokens += counted;
        Verdict verdict;
        if (body.starts_with("ok more")) {
            bodies_.emplace_back("further");
            verdict.more.push_back(call(bodies_.back()));
        }
        return verdict;
    }
    [[nodiscard]] Verdict fail(std::size_t index,
                               int status,
                               std::string_view /*body*/,
                               std::string_view reason) override {
        results.push_back(std::to_string(index) + " failed " + std::to_string(status) + " " +
                          std::string(reason));
        Verdict verdict;
        if (splits_on_400 && status == 400) {
            bodies_.emplace_back("half");
            verdict.more.push_back(call(bodies_.back()));
        }
        return verdict;
    }
    [[nodiscard]] bool done() const override { return results.size() == bodies_.size(); }
    [[nodiscard]] Reply take_reply() override { return {}; }
    [[nodiscard]] Usage usage() const override { return usage_; }
    std::vector<std::string> results;
    std::int64_t counted = 0;  ///< tokens that each reply says
    bool splits_on_400 = false;

  private:
    [[nodiscard]] Call call(const std::string& body) const {
        return {.path = "/call", .body = body, .estimated_tokens = tokens_};
    }
    std::vector<std::string> bodies_;
    std::int64_t tokens_;
    Usage usage_;
};

/// "model:x" in a reply is where it comes from.
std::string model_in(std::string_view body) {
    const auto at = body.find("model:");
    return at == std::string_view::npos ? "" : std::string(body.substr(at + 6));
}

ClientOptions to(const std::vector<std::string>& urls) {
    ClientOptions options;
    for (const auto& url : urls) {
        options.endpoints.push_back(
            {.connection = {.address = parse_address(url, "test"), .key = Secret(kCanary)}});
    }
    options.place = "job.json: /backend";
    options.retry.first_delay = milliseconds(10);
    options.retry.longest_delay = options.retry.longest_retry_delay = milliseconds(40);
    options.breaker.first_cool_down = milliseconds(30);
    options.breaker.longest_cool_down = milliseconds(60);
    options.transport.call_deadline = milliseconds(5000);
    return options;
}

ClientOptions to(const LoopbackServer& server) { return to(std::vector{server.url()}); }

/// All that a client gives back within ten seconds, in order.
std::vector<FinishedExchange> finish(Client& client, std::size_t count) {
    std::vector<FinishedExchange> all;
    const auto end = steady_clock::now() + std::chrono::seconds(10);
    while (all.size() < count && client.failure().empty() && steady_clock::now() < end) {
        for (auto& finished : client.poll(milliseconds(100))) {
            all.push_back(std::move(finished));
        }
    }
    return all;
}

const std::vector<std::string>& results(const FinishedExchange& finished) {
    return static_cast<Talk&>(*finished.exchange).results;
}

/// Submits one call and returns what became of it; the client's failure when it has failed.
std::string one(Client& client, const std::string& body = "hello") {
    client.submit(1, std::make_unique<Talk>(std::vector{body}));
    const auto all = finish(client, 1);
    return all.empty() ? "failure: " + client.failure() : results(all[0]).at(0);
}

void answer_well(const SeenRequest& request, Wire& wire) { wire.answer(200, "ok " + request.body); }

/// Answers well from the `count`th request on, before as `handler` does.
LoopbackServer::Handler after(int count, LoopbackServer::Handler handler) {
    return [=](const SeenRequest& request, Wire& wire) {
        request.number < count ? handler(request, wire) : answer_well(request, wire);
    };
}
LoopbackServer::Handler always(int status, const std::string& body, const std::string& lines = "") {
    return [=](const SeenRequest&, Wire& wire) { wire.answer(status, body, lines); };
}

std::int64_t retries(const Client& client, Outcome outcome) {
    return client.counters().retries[static_cast<std::size_t>(outcome)];
}
std::int64_t faults(const Client& client, TransportFault fault) {
    return client.counters().faults[static_cast<std::size_t>(fault)];
}

TEST(Client, HandsRepliesToExchangesAndReturnsThemDone) {
    LoopbackServer server(answer_well);
    Client client(to(server), model_in);
    client.submit(7, std::make_unique<Talk>(std::vector<std::string>{"a", "b"}));
    client.submit(9, std::make_unique<Talk>(std::vector<std::string>{"c"}));
    EXPECT_EQ(client.pending(), 2U);
    auto all = finish(client, 2);
    ASSERT_THAT(all, SizeIs(2));
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.id < b.id; });
    EXPECT_EQ(all[0].id, 7U);
    EXPECT_THAT(results(all[0]), ::testing::UnorderedElementsAre("0 ok a", "1 ok b"));
    EXPECT_THAT(results(all[1]), ElementsAre("0 ok c"));
    EXPECT_EQ(client.pending(), 0U);
    const auto counters = client.counters();
    EXPECT_EQ(counters.exchanges, 2);
    EXPECT_EQ(counters.calls, 3);
    EXPECT_EQ(counters.answered, 3);
    EXPECT_EQ(counters.bytes_sent, 3);
    EXPECT_GT(counters.bytes_received, 9);
}

TEST(Client, MakesTheCallsThatAReplyMakesPossible) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        wire.answer(200, request.body == "first" ? "ok more" : "ok " + request.body);
    });
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"first"}));
    const auto all = finish(client, 1);
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_THAT(results(all[0]), ElementsAre("0 ok more", "1 ok further"));
}

TEST(Client, KnowsWhatHasEndedOfExchangesThatAreOpen) {
    std::atomic<bool> may_answer{false};
    LoopbackServer server([&](const SeenRequest& request, Wire& wire) {
        while (request.body == "slow" && !may_answer) wire.sleep(milliseconds(1));
        answer_well(request, wire);
    });
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a", "b", "slow"}));
    client.submit(2, std::make_unique<Talk>(std::vector<std::string>{"c"}));
    EXPECT_THAT(finish(client, 1), SizeIs(1));  // the second
    const auto end = steady_clock::now() + std::chrono::seconds(10);
    while (client.counters().answered < 3 && steady_clock::now() < end) {
        static_cast<void>(client.poll(milliseconds(1)));
    }
    EXPECT_EQ(client.counters().ended_of_open, 2);
    may_answer = true;
    EXPECT_THAT(finish(client, 1), SizeIs(1));
    EXPECT_EQ(client.counters().ended_of_open, 0);
}

TEST(WantedExchanges, AreThoseWhoseCallsFillTheirPlacesAndAQuarterMore) {
    EXPECT_EQ(wanted_exchanges({}, 64), 1U);  // nothing is known yet
    EXPECT_EQ(wanted_exchanges({.opened = 10, .work = 80}, 64), 10U);
    EXPECT_EQ(wanted_exchanges({.opened = 10, .work = 10}, 64), 80U);
}

TEST(WantedExchanges, AreMoreWhereOpenOnesHaveFewCallsLeft) {
    EXPECT_EQ(wanted_exchanges({.opened = 10, .work = 80, .ended_of_open = 70}, 64), 19U);
}

TEST(Client, ReturnsAnExchangeThatAsksNothing) {
    LoopbackServer server(answer_well);
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{}));
    EXPECT_THAT(finish(client, 1), SizeIs(1));
}

TEST(Client, SendsInTheOrderOfSubmission) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.endpoints[0].most_in_flight = 1;
    Client client(std::move(options), model_in);
    std::vector<std::string> expected;
    for (std::uint64_t id = 0; id < 5; ++id) {
        const auto name = std::to_string(id);
        client.submit(id, std::make_unique<Talk>(std::vector{name + "a", name + "b"}));
        expected.insert(expected.end(), {name + "a", name + "b"});
    }
    EXPECT_THAT(finish(client, 5), SizeIs(5));
    std::vector<std::string> bodies;
    for (const auto& request : server.seen()) {
        bodies.push_back(request.body);
    }
    EXPECT_EQ(bodies, expected);
}

TEST(Client, HasNoMoreInFlightThanThisRanksShare) {
    std::atomic<int> now{0};
    std::atomic<int> most{0};
    LoopbackServer server([&](const SeenRequest& request, Wire& wire) {
        most = std::max(most.load(), ++now);
        wire.sleep(milliseconds(10));
        --now;
        answer_well(request, wire);
    });
    auto options = to(server);
    options.endpoints[0].most_in_flight = 7;
    options.rank = 1;
    options.ranks = 3;
    Client client(std::move(options), model_in);
    EXPECT_EQ(client.most_in_flight(), 2U);
    for (std::uint64_t id = 0; id < 20; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    }
    EXPECT_THAT(finish(client, 20), SizeIs(20));
    EXPECT_EQ(most, 2);
}

TEST(Client, RefusesLimitsThatLeaveThisRankWithoutACall) {
    auto options = to({"http://127.0.0.1:1"});
    options.endpoints[0].most_in_flight = 2;
    options.rank = 2;
    options.ranks = 4;
    EXPECT_THROW(Client(std::move(options), model_in), UsageError);
}

TEST(Client, KeepsToTheRequestsAMinute) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.endpoints[0].requests_a_minute = 60 * 20;  // 20 a second, 200 saved up
    Client client(std::move(options), model_in);
    const auto begin = steady_clock::now();
    for (std::uint64_t id = 0; id < 204; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    }
    EXPECT_THAT(finish(client, 204), SizeIs(204));
    EXPECT_GE(steady_clock::now() - begin, milliseconds(190));
}

TEST(Client, KeepsToTheTokensAMinute) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.endpoints[0].tokens_a_minute = 60'000;  // 1000 a second, 10000 saved up
    Client client(std::move(options), model_in);
    const auto begin = steady_clock::now();
    for (std::uint64_t id = 0; id < 3; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}, 5100));
    }
    EXPECT_THAT(finish(client, 3), SizeIs(3));
    EXPECT_GE(steady_clock::now() - begin, milliseconds(5290));
}

TEST(Client, CorrectsEstimatedTokensByThoseThatRepliesCount) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.endpoints[0].most_in_flight = 1;
    options.endpoints[0].tokens_a_minute = 60;  // one a second, ten saved up
    Client client(std::move(options), model_in);
    // By their estimates they would take 100 seconds.
    for (std::uint64_t id = 0; id < 3; ++id) {
        auto talk = std::make_unique<Talk>(std::vector<std::string>{"x"}, 50);
        talk->counted = 1;
        client.submit(id, std::move(talk));
    }
    EXPECT_THAT(finish(client, 3), SizeIs(3));
}

TEST(Client, RepliesOfNoUseAreBilledWithTheirExchange) {
    int number = 0;
    LoopbackServer server([&](const SeenRequest& request, Wire& wire) {
        if (number++ < 2) {
            return wire.answer(200, R"({"usage":{"prompt_tokens":7,"completion_tokens":2}})");
        }
        return answer_well(request, wire);
    });
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    const auto all = finish(client, 1);
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_EQ(all[0].discarded, (Usage{.requests = 2, .prompt_tokens = 14, .discarded_tokens = 4}));
}

TEST(Client, LetsNoLaterCallOvertakeALongOne) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.endpoints[0].most_in_flight = 1;
    options.endpoints[0].tokens_a_minute = 600'000;  // 10000 a second, 100000 saved up
    Client client(std::move(options), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a"}, 99'000));
    client.submit(2, std::make_unique<Talk>(std::vector<std::string>{"b"}, 4'000));
    client.submit(3, std::make_unique<Talk>(std::vector<std::string>{"c"}, 1));
    EXPECT_THAT(finish(client, 3), SizeIs(3));
    const auto seen = server.seen();
    EXPECT_EQ(seen[0].body + seen[1].body + seen[2].body, "abc");
    EXPECT_GT(client.counters().queued, milliseconds(500));
}

TEST(Client, TriesAgainAfterEachKindOfTransientFault) {
    int number = 0;
    LoopbackServer server([&](const SeenRequest& request, Wire& wire) {
        switch (number++) {
            case 0:
                return wire.reset();
            case 1:
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok");
                return wire.close();
            case 2:
                return wire.answer(500, "oops");
            case 3:
                return wire.answer(200, "<html>welcome</html>");
            default:
                return answer_well(request, wire);
        }
    });
    auto options = to(server);
    options.breaker.failures_to_open = 100;
    Client client(std::move(options), model_in);
    EXPECT_EQ(one(client), "0 ok hello");
    EXPECT_EQ(retries(client, Outcome::retry), 4);
    EXPECT_EQ(faults(client, TransportFault::reset), 1);
    EXPECT_EQ(faults(client, TransportFault::torn), 1);
    EXPECT_EQ(client.counters().malformed, 1);
    EXPECT_EQ(client.counters().calls, 5);
    EXPECT_GT(client.counters().backed_off.count(), 0);
}

TEST(Client, FailsTheItemAfterItsAttempts) {
    LoopbackServer server(always(500, "no luck"));
    auto options = to(server);
    options.retry.most_attempts = 3;
    Client client(std::move(options), model_in);
    EXPECT_THAT(one(client), AllOf(StartsWith("0 failed 500 given up after 3 tries"),
                                   HasSubstr("HTTP status 500: no luck"), HasSubstr(server.url())));
    EXPECT_EQ(server.requests(), 3);
    EXPECT_EQ(client.counters().failed, 1);
    EXPECT_THAT(client.failure(), IsEmpty());
}

TEST(Client, FailsTheItemThatTheServerRefusesWithoutAnotherTry) {
    LoopbackServer server(always(400, "context too long"));
    Client client(to(server), model_in);
    EXPECT_THAT(one(client), AllOf(StartsWith("0 failed 400 "), HasSubstr("context too long")));
    EXPECT_EQ(server.requests(), 1);
}

TEST(Client, MakesTheCallsThatAnExchangeHasInsteadOfARefusedOne) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        request.body == "whole" ? wire.answer(400, "too many prompts") : answer_well(request, wire);
    });
    Client client(to(server), model_in);
    auto talk = std::make_unique<Talk>(std::vector<std::string>{"whole"});
    talk->splits_on_400 = true;
    client.submit(1, std::move(talk));
    const auto all = finish(client, 1);
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_THAT(results(all[0]), ElementsAre(StartsWith("0 failed 400"), "1 ok half"));
}

TEST(Client, WaitsAsLongAsRetryAfterSays) {
    LoopbackServer server(after(1, always(429, "slow down", "Retry-After: 1\r\n")));
    Client client(to(server), model_in);
    const auto begin = steady_clock::now();
    EXPECT_EQ(one(client), "0 ok hello");
    EXPECT_GE(steady_clock::now() - begin, milliseconds(1000));
    EXPECT_EQ(retries(client, Outcome::busy), 1);
    EXPECT_EQ(client.counters().limit_decreases, 1);
}

TEST(Client, HoldsBackOtherCallsWhileRetryAfterLasts) {
    LoopbackServer server(after(1, always(503, "slow down", "Retry-After: 1\r\n")));
    auto options = to(server);
    options.endpoints[0].most_in_flight = 1;
    Client client(std::move(options), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a"}));
    client.submit(2, std::make_unique<Talk>(std::vector<std::string>{"b"}));
    EXPECT_THAT(client.poll(milliseconds(700)), IsEmpty());
    EXPECT_EQ(server.requests(), 1);
    EXPECT_THAT(finish(client, 2), SizeIs(2));
}

TEST(Client, EndsWithTheServersWordsWhenItRefusesAll) {
    struct Case {
        int status;
        std::string body, lines, expected;
    };
    const std::vector<Case> cases{
        {401, "who are you", "", "unauthorised"},
        {403, "not you", "", "unauthorised"},
        {404, "no such model", "", "no_such_model"},
        {429, R"({"code":"insufficient_quota"})", "", "quota"},
        {429, "later", "Retry-After: 86400\r\n", "Retry-After is 86400 s"},
        {302, "", "Location: http://elsewhere.invalid/\r\n",
         "a redirect to http://elsewhere.invalid/"},
    };
    for (const auto& c : cases) {
        LoopbackServer server(always(c.status, c.body, c.lines));
        Client client(to(server), model_in);
        EXPECT_THAT(one(client),
                    AllOf(StartsWith("failure: job.json: /backend: no endpoint can be used: "),
                          HasSubstr(server.url()), HasSubstr(c.expected),
                          HasSubstr(std::to_string(c.status))));
        EXPECT_EQ(server.requests(), 1) << c.status;
        EXPECT_THAT(client.poll(milliseconds(10)), IsEmpty());
    }
}

TEST(Client, GoesOnWithAnotherEndpointWhenOneRefuses) {
    LoopbackServer refusing(always(401, "no"));
    LoopbackServer serving(answer_well);
    Client client(to({refusing.url(), serving.url()}), model_in);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(one(client), "0 ok hello");
    }
    EXPECT_EQ(refusing.requests(), 1);
    EXPECT_EQ(client.counters().failovers, 1);
}

TEST(Client, TriesAgainElsewhere) {
    LoopbackServer failing(always(500, "no luck"));
    LoopbackServer serving(answer_well);
    auto options = to({failing.url(), serving.url()});
    options.retry.most_attempts = 2;
    options.breaker.failures_to_open = 100;
    Client client(std::move(options), model_in);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(one(client), "0 ok hello");
    }
    EXPECT_EQ(client.counters().failovers, 5);
}

TEST(Client, AsksAServerThatIsDownOneCallAtATime) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.breaker.failures_to_open = 100;
    options.breaker.first_cool_down = std::chrono::seconds(60);
    Client client(std::move(options), model_in);
    server.stop();
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a"}));
    EXPECT_THAT(client.poll(milliseconds(300)), IsEmpty());
    EXPECT_EQ(client.counters().calls, 1);
    EXPECT_EQ(client.counters().breaker_openings, 1);
}

TEST(Client, OneCallThatAlwaysFailsDoesNotCondemnTheServer) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        request.body == "bad" ? wire.answer(500, "no luck") : answer_well(request, wire);
    });
    auto options = to(server);
    options.retry.most_attempts = 8;
    options.breaker.failures_to_open = 3;
    Client client(std::move(options), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"bad"}));
    EXPECT_THAT(finish(client, 1), SizeIs(1));
    EXPECT_EQ(server.requests(), 8);
    EXPECT_EQ(client.counters().server_errors, 8);
    EXPECT_EQ(client.counters().breaker_openings, 0);
    EXPECT_EQ(one(client), "0 ok hello");
}

TEST(Client, CallsThatAllFailCondemnTheServer) {
    LoopbackServer server(always(500, "no luck"));
    auto options = to(server);
    options.breaker.failures_to_open = 3;
    Client client(std::move(options), model_in);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    }
    (void)finish(client, 3);
    EXPECT_GE(client.counters().breaker_openings, 1);
}

TEST(Client, EndpointThatWasAwayIsHeldUntilItIsReleased) {
    LoopbackServer server(answer_well);
    Client client(to(server), model_in);
    client.hold_those_away();
    EXPECT_EQ(one(client), "0 ok hello");
    EXPECT_THAT(client.held(), IsEmpty());
    server.stop();
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a"}));
    while (client.counters().breaker_openings == 0) {
        EXPECT_THAT(client.poll(milliseconds(10)), IsEmpty());
    }
    server.start();
    EXPECT_THAT(client.held(), ElementsAre(0U));
    client.check(0, std::make_unique<Talk>(std::vector<std::string>{"check"}));
    std::vector<CheckedEndpoint> checked;
    while (checked.empty()) {
        EXPECT_THAT(client.poll(milliseconds(10)), IsEmpty()) << "held";
        checked = client.take_checked();
    }
    EXPECT_TRUE(checked[0].exchange != nullptr);
    client.release(0);
    EXPECT_THAT(finish(client, 1), SizeIs(1));
}

TEST(Client, SpreadsCallsOverEndpoints) {
    const auto slowly = [](const SeenRequest& request, Wire& wire) {
        wire.sleep(milliseconds(20));
        answer_well(request, wire);
    };
    LoopbackServer first(slowly);
    LoopbackServer second(slowly);
    Client client(to({first.url(), second.url()}), model_in);
    for (std::uint64_t id = 0; id < 20; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    }
    EXPECT_THAT(finish(client, 20), SizeIs(20));
    EXPECT_EQ(first.requests(), 10);
    EXPECT_EQ(second.requests(), 10);
}

TEST(Client, GoesElsewhereWhileAnEndpointIsDeadAndComesBack) {
    LoopbackServer first(answer_well);
    LoopbackServer second(answer_well);
    Client client(to({first.url(), second.url()}), model_in);
    EXPECT_EQ(one(client), "0 ok hello");
    EXPECT_EQ(first.requests(), 1);
    first.stop();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(one(client), "0 ok hello");
    }
    EXPECT_GE(second.requests(), 10);
    EXPECT_GE(client.counters().breaker_openings, 1);
    EXPECT_GE(client.counters().failovers, 1);
    EXPECT_EQ(client.counters().failed, 0);
    first.start();
    const auto end = steady_clock::now() + std::chrono::seconds(5);
    while (first.requests() == 1 && steady_clock::now() < end) {
        EXPECT_EQ(one(client), "0 ok hello");
    }
    EXPECT_GT(first.requests(), 1);
}

TEST(Client, WaitsForItsOnlyEndpointToComeBackWithoutLosingACall) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.retry.most_attempts = 2;
    Client client(std::move(options), model_in);
    server.stop();
    for (std::uint64_t id = 0; id < 10; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    }
    EXPECT_THAT(client.poll(milliseconds(500)), IsEmpty());
    server.start();
    const auto all = finish(client, 10);
    ASSERT_THAT(all, SizeIs(10));
    for (const auto& finished : all) {
        EXPECT_THAT(results(finished), ElementsAre("0 ok x"));
    }
    EXPECT_GT(faults(client, TransportFault::connect), 1);
}

TEST(Client, EndsWhenNoEndpointIsAliveForLongerThanItsPatience) {
    LoopbackServer first(answer_well);
    LoopbackServer second(answer_well);
    auto options = to({first.url(), second.url()});
    options.patience = milliseconds(300);
    Client client(std::move(options), model_in);
    first.stop();
    second.stop();
    const auto begin = steady_clock::now();
    EXPECT_THAT(one(client), AllOf(HasSubstr("no endpoint has been alive for"),
                                   HasSubstr(first.url() + ": connect: "),
                                   HasSubstr(second.url() + ": connect: ")));
    EXPECT_GE(steady_clock::now() - begin, milliseconds(300));
}

TEST(Client, DoesNotCountIdleTimeAgainstItsPatience) {
    LoopbackServer server(answer_well);
    auto options = to(server);
    options.patience = milliseconds(100);
    options.retry.most_busy_attempts = 1;
    Client client(std::move(options), model_in);
    server.stop();
    EXPECT_THAT(one(client), HasSubstr("given up"));
    EXPECT_THAT(client.poll(milliseconds(150)), IsEmpty());
    client.submit(2, std::make_unique<Talk>(std::vector<std::string>{"a"}));
    client.submit(3, std::make_unique<Talk>(std::vector<std::string>{"b"}));
    EXPECT_THAT(finish(client, 1), Not(IsEmpty()));
    EXPECT_THAT(client.failure(), IsEmpty());
    server.start();
    (void)finish(client, 1);
    EXPECT_EQ(one(client), "0 ok hello");
}

TEST(Client, EndsWhenAReplyIsBroken) {
    LoopbackServer server(always(200, "broken: echo ignored"));
    Client client(to(server), model_in);
    EXPECT_EQ(one(client),
              "failure: job.json: /backend: " + server.url() + ": broken: echo ignored");
}

TEST(Client, EndsWhenTheModelChanges) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        wire.answer(200, request.number < 2 ? "ok model:one" : "ok model:two");
    });
    Client client(to(server), model_in);
    EXPECT_EQ(one(client), "0 ok model:one");
    EXPECT_EQ(one(client), "0 ok model:one");
    EXPECT_THAT(one(client),
                AllOf(StartsWith("failure: "), HasSubstr("\"two\""), HasSubstr("\"one\"")));
}

TEST(Client, EndsWhenEndpointsServeDifferentModels) {
    LoopbackServer first(always(200, "ok model:one"));
    LoopbackServer second(always(200, "ok model:two"));
    Client client(to({first.url(), second.url()}), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"a", "b"}));
    (void)finish(client, 1);
    EXPECT_THAT(client.failure(), HasSubstr("Expected one model"));
}

TEST(Client, PollsNoLongerThanItsTimeout) {
    LoopbackServer server([](const SeenRequest&, Wire& wire) { wire.sleep(milliseconds(5000)); });
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    for (const int timeout : {0, 1, 100}) {
        const auto begin = steady_clock::now();
        EXPECT_THAT(client.poll(milliseconds(timeout)), IsEmpty());
        EXPECT_GE(steady_clock::now() - begin, milliseconds(timeout));
        EXPECT_LT(steady_clock::now() - begin, milliseconds(timeout + 1000));
    }
}

TEST(Client, WakesForARetryThatIsDue) {
    LoopbackServer server(after(1, always(500, "once")));
    Client client(to(server), model_in);
    client.submit(1, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    const auto begin = steady_clock::now();
    EXPECT_THAT(client.poll(milliseconds(8000)), SizeIs(1));
    EXPECT_LT(steady_clock::now() - begin, milliseconds(4000));
}

/// The 21st request takes long, its copy does not.
class Hedging : public ::testing::Test {
  protected:
    static ClientOptions hedged(ClientOptions options, double medians) {
        options.hedge_after_medians = medians;
        return options;
    }
    LoopbackServer server_{[](const SeenRequest& request, Wire& wire) {
        wire.sleep(milliseconds(request.number == 20 ? 3000 : 5));
        answer_well(request, wire);
    }};
};

TEST_F(Hedging, SendsASecondCopyOfAStragglerAndTakesTheFirstReply) {
    Client client(hedged(to(server_), 10), model_in);
    const auto begin = steady_clock::now();
    for (int i = 0; i < 30; ++i) {
        ASSERT_EQ(one(client), "0 ok hello");
    }
    EXPECT_LT(steady_clock::now() - begin, milliseconds(2500));
    EXPECT_GE(client.counters().hedges, 1);
    EXPECT_GE(client.counters().hedges_won, 1);
    EXPECT_EQ(client.counters().answered, 30);
}

TEST_F(Hedging, IsOffUnlessAskedFor) {
    Client client(to(server_), model_in);
    for (int i = 0; i < 22; ++i) {
        ASSERT_EQ(one(client), "0 ok hello");
    }
    EXPECT_EQ(client.counters().hedges, 0);
    EXPECT_EQ(server_.requests(), 22);
}

TEST(Client, DoublesAtMostOneCallInTen) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        wire.sleep(milliseconds(request.number < 20 ? 1 : 30));
        answer_well(request, wire);
    });
    auto options = to(server);
    options.hedge_after_medians = 1.5;
    options.in_flight.latency_multiple = 0;
    Client client(std::move(options), model_in);
    for (int i = 0; i < 60; ++i) {
        ASSERT_EQ(one(client), "0 ok hello");
    }
    EXPECT_LE(client.counters().hedges * 9, client.counters().calls);
}

TEST(Ask, ReturnsWhateverTheServerAnswers) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        wire.answer(request.number == 0 ? 200 : 404, "said");
    });
    Client client(to(server), model_in);
    const auto first = client.ask(0, {.path = "/v1/models"}, milliseconds(5000));
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.body, "said");
    EXPECT_EQ(client.ask(0, {.path = "/props"}, milliseconds(5000)).status, 404);
    EXPECT_THAT(client.failure(), IsEmpty());
    EXPECT_THAT(server.seen().at(1).head, StartsWith("GET /props "));
}

TEST(Ask, WaitsForAServerThatIsStarting) {
    LoopbackServer server(after(3, always(503, "loading model")));
    auto options = to(server);
    options.retry.most_busy_attempts = 1;
    Client client(std::move(options), model_in);
    EXPECT_EQ(client.ask(0, {.path = "/props"}, milliseconds(8000)).status, 200);
}

TEST(Ask, SaysWhyNothingCameInTime) {
    LoopbackServer server(answer_well);
    Client client(to(server), model_in);
    server.stop();
    const auto answer = client.ask(0, {.path = "/props"}, milliseconds(200));
    EXPECT_EQ(answer.status, 0);
    EXPECT_THAT(answer.reason, HasSubstr("connect: "));
    EXPECT_EQ(client.pending(), 0U);
    server.start();
    EXPECT_EQ(client.ask(0, {.path = "/props"}, milliseconds(5000)).status, 200);
}

TEST(Ask, LeavesExchangesForTheNextPoll) {
    LoopbackServer server([](const SeenRequest& request, Wire& wire) {
        wire.sleep(milliseconds(request.body.empty() ? 200 : 0));
        answer_well(request, wire);
    });
    Client client(to(server), model_in);
    client.submit(5, std::make_unique<Talk>(std::vector<std::string>{"x"}));
    EXPECT_EQ(client.ask(0, {.path = "/props"}, milliseconds(5000)).status, 200);
    const auto all = client.poll(milliseconds(0));
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_EQ(all[0].id, 5U);
}

// Servers, and gateways before them, repeat keys in all sorts of places.
TEST(Canary, IsInNothingThatTheClientSays) {
    const std::string key = kCanary;
    const std::vector<LoopbackServer::Handler> handlers{
        always(200, key),
        always(200, "refused " + key),
        always(200, "broken " + key),
        always(200, "ok model:" + key),
        always(400, "wrong key " + key),
        always(400, std::string(180, 'x') + key),
        always(401, "wrong key " + key),
        always(500, "wrong key " + key),
        always(302, key, "Location: http://" + key + "@h/" + key + "?key=" + key + "\r\n"),
        always(429, key, "Retry-After: " + key + "\r\n"),
        [&](const SeenRequest&, Wire& wire) {
            wire.send(key + "\r\n");
            wire.close();
        },
        [&](const SeenRequest& request, Wire& wire) {
            wire.answer(200, "ok model:" + std::string(request.number == 0 ? "one" : key));
        },
    };
    for (std::size_t i = 0; i < handlers.size(); ++i) {
        LoopbackServer server(handlers[i]);
        auto options = to(server);
        options.retry.most_attempts = options.retry.most_busy_attempts = 2;
        Client client(std::move(options), model_in);
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        std::string said = one(client) + one(client) + client.failure();
        const auto answer = client.ask(0, {.path = "/"}, milliseconds(300));
        said += answer.body + answer.reason;
        said += ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
        EXPECT_THAT(said, Not(HasSubstr("canary"))) << i;
        EXPECT_THAT(server.seen().at(0).head, HasSubstr(key));
    }
}

// An answer may hold the word that is a key of no worth, but what is said about an answer must not.
TEST(Canary, IsInNoReasonEvenWhenItIsShort) {
    const std::string key = "sk-canary-01";
    for (const auto& handler : {always(200, key), always(200, "broken " + key)}) {
        LoopbackServer server(handler);
        auto options = to(server);
        options.endpoints[0].connection.key = Secret(key);
        options.retry.most_attempts = 2;
        Client client(std::move(options), model_in);
        EXPECT_THAT(one(client), Not(HasSubstr("canary")));
    }
}

TEST(Client, CostsLittleTimeACall) {
    LoopbackServer server(answer_well);
    Client client(to(server), model_in);
    constexpr int kCalls = 2000;
    const auto cpu = [] {
        rusage usage{};
        ::getrusage(RUSAGE_THREAD, &usage);
        return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    };
    const std::string body(2000, 'x');
    EXPECT_EQ(one(client), "0 ok hello");
    const double before = cpu();
    for (std::uint64_t id = 0; id < kCalls; ++id) {
        client.submit(id, std::make_unique<Talk>(std::vector{body}));
    }
    ASSERT_THAT(finish(client, kCalls), SizeIs(kCalls));
    const double cost = (cpu() - before) / kCalls;
    RecordProperty("microseconds_a_call", std::to_string(cost));
    // The aim is 100; other work on the machine and sanitizers may make it more.
    EXPECT_LT(cost, 1500) << "microseconds";
    std::printf("client: %.1f us of processor time a call\n", cost);
}

}  // namespace
}  // namespace dln::http
