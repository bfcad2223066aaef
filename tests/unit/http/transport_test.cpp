// Calls over real sockets, to servers that do what servers do.

#include "llm/http/transport.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"
#include "unit/http/loopback_server.hpp"

namespace dln::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kCanary = "sk-canary-0123456789abcdef";

EndpointOptions at(const std::string& url, const std::string& key = "") {
    return {.address = parse_address(url, "test"), .key = Secret(key)};
}

std::shared_ptr<const std::string> text(const std::string& body) {
    return std::make_shared<const std::string>(body);
}

/// Everything that has ended after at most ten seconds.
std::vector<TransportReply> wait_for(Transport& transport, std::size_t count) {
    std::vector<TransportReply> replies;
    const auto end = steady_clock::now() + std::chrono::seconds(10);
    while (replies.size() < count && steady_clock::now() < end) {
        for (auto& reply : transport.poll(milliseconds(100))) {
            replies.push_back(std::move(reply));
        }
    }
    return replies;
}

/// One call to a server that does as `handler` says.
class OneCall {
  public:
    explicit OneCall(LoopbackServer::Handler handler, const TransportOptions& options = {})
        : server(std::move(handler)), transport(options) {
        transport.add_endpoint(at(server.url() + "/base", kCanary), "test");
    }
    TransportReply operator()(const std::string& body = "{}") {
        transport.send(next_, 0, "/path", text(body));
        auto replies = wait_for(transport, 1);
        if (replies.size() != 1 || replies[0].id != next_) {
            throw std::runtime_error("no reply within ten seconds");
        }
        ++next_;
        return std::move(replies[0]);
    }
    LoopbackServer server;
    Transport transport;

  private:
    std::uint64_t next_ = 1;
};

void answer_well(const SeenRequest& request, Wire& wire) {
    wire.answer(200, "you said " + request.body);
}

TEST(Transport, PostsJsonWithTheKey) {
    OneCall call(answer_well);
    const auto reply = call("{\"a\":1}");
    EXPECT_EQ(reply.fault, TransportFault::none);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "you said {\"a\":1}");
    EXPECT_THAT(reply.reason, IsEmpty());
    EXPECT_GT(reply.took.count(), 0);
    const auto seen = call.server.seen().at(0);
    EXPECT_THAT(seen.head, StartsWith("POST /base/path HTTP/1.1\r\n"));
    EXPECT_THAT(seen.head,
                AllOf(HasSubstr(std::string("Authorization: Bearer ") + kCanary + "\r\n"),
                      HasSubstr("Content-Type: application/json\r\n"),
                      Not(HasSubstr("Accept-Encoding")), Not(HasSubstr("Expect"))));
}

TEST(Transport, GetsWithoutABodyAndPostsAgainOverTheSameHandle) {
    OneCall call(answer_well);
    (void)call("{}");
    EXPECT_EQ(call("").body, "you said ");
    EXPECT_EQ(call("{\"b\":2}").body, "you said {\"b\":2}");
    const auto seen = call.server.seen();
    EXPECT_THAT(seen[1].head, AllOf(StartsWith("GET /base/path "), HasSubstr(kCanary),
                                    Not(HasSubstr("Content-"))));
    EXPECT_THAT(seen[2].head, StartsWith("POST "));
}

TEST(Transport, SendsNoKeyWhereThereIsNone) {
    LoopbackServer server(answer_well);
    Transport transport({});
    transport.add_endpoint(at(server.url()), "test");
    transport.send(1, 0, "/", text("{}"));
    (void)wait_for(transport, 1);
    EXPECT_THAT(server.seen().at(0).head, Not(HasSubstr("Authorization")));
}

TEST(Transport, KeepsConnectionsForLaterCalls) {
    OneCall call(answer_well);
    for (int i = 0; i < 20; ++i) {
        ASSERT_EQ(call(std::string(100'000, 'x')).body.size(), 100'009U);
    }
    EXPECT_EQ(call.server.connections(), 1);
}

TEST(Transport, OpensNoMoreConnectionsThanAllowed) {
    LoopbackServer server([](const SeenRequest&, Wire& wire) {
        wire.sleep(milliseconds(20));
        wire.answer(200, "{}");
    });
    Transport transport({.most_connections = 3});
    transport.add_endpoint(at(server.url()), "test");
    for (std::uint64_t id = 0; id < 12; ++id) {
        transport.send(id, 0, "/", text("{}"));
    }
    EXPECT_EQ(transport.in_flight(), 12U);
    EXPECT_THAT(wait_for(transport, 12), SizeIs(12));
    EXPECT_EQ(server.connections(), 3);
    EXPECT_EQ(transport.in_flight(), 0U);
}

TEST(Transport, HandsOutStatusAndHeaderLinesThatMatter) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.answer(429, "slow down", "retry-AFTER:  17 \r\nContent-Type: text/plain\r\n");
    });
    const auto reply = call();
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(reply.retry_after, "17");
    EXPECT_EQ(reply.content_type, "text/plain");
    EXPECT_EQ(reply.body, "slow down");
}

TEST(Transport, TakesNoHeaderLinesFromA100Continue) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.send("HTTP/1.1 100 Continue\r\nRetry-After: 1\r\nContent-Encoding: gzip\r\n\r\n");
        wire.answer(429, "slow down");
    });
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::none);
    EXPECT_THAT(reply.retry_after, IsEmpty());
}

TEST(Transport, FollowsNoRedirect) {
    LoopbackServer other(answer_well);
    OneCall call([&](const SeenRequest&, Wire& wire) {
        wire.answer(307, "", "Location: " + other.url() + "/elsewhere?token=canary\r\n");
    });
    const auto reply = call();
    EXPECT_EQ(reply.status, 307);
    EXPECT_EQ(reply.location, other.url() + "/elsewhere?token=[hidden]");
    EXPECT_EQ(other.connections(), 0);
}

TEST(Transport, ReportsATornReply) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"choices\":");
        wire.close();
    });
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::torn);
    EXPECT_EQ(reply.status, 0);
    EXPECT_THAT(reply.body, IsEmpty());
    EXPECT_THAT(reply.reason, StartsWith("torn: "));
}

TEST(Transport, ReportsATornChunkedReply) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        wire.close();
    });
    EXPECT_EQ(call().fault, TransportFault::torn);
}

TEST(Transport, ReportsAReset) {
    OneCall call([](const SeenRequest&, Wire& wire) { wire.reset(); });
    EXPECT_EQ(call().fault, TransportFault::reset);
}

TEST(Transport, ReportsAServerThatHangsUpWithoutAWord) {
    OneCall call([](const SeenRequest&, Wire& wire) { wire.close(); });
    EXPECT_EQ(call().fault, TransportFault::reset);
}

TEST(Transport, ReportsARefusedConnection) {
    OneCall call(answer_well);
    call.server.stop();
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::connect);
    EXPECT_THAT(reply.reason, HasSubstr("connect: "));
}

TEST(Transport, ReportsAHostThatDoesNotExist) {
    Transport transport({.connect_deadline = milliseconds(8000)});
    transport.add_endpoint(at("http://no-such-host.invalid"), "test");
    transport.send(1, 0, "/", text("{}"));
    const auto replies = wait_for(transport, 1);
    ASSERT_THAT(replies, SizeIs(1));
    // A machine without a name server may need longer than the deadline to say so.
    EXPECT_TRUE(replies[0].fault == TransportFault::resolve ||
                replies[0].fault == TransportFault::connect);
}

TEST(Transport, EndsACallAtItsDeadline) {
    OneCall call([](const SeenRequest&, Wire& wire) { wire.sleep(milliseconds(5000)); },
                 {.call_deadline = milliseconds(150), .stall_deadline = milliseconds(20)});
    const auto begin = steady_clock::now();
    EXPECT_EQ(call().fault, TransportFault::deadline);
    EXPECT_GE(steady_clock::now() - begin, milliseconds(150));
    EXPECT_LT(steady_clock::now() - begin, milliseconds(3000));
}

TEST(Transport, EndsADripAtTheCallDeadline) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            while (!wire.is_stopping() && wire.send("x")) {
                wire.sleep(milliseconds(10));
            }
            wire.close();
        },
        {.call_deadline = milliseconds(300), .stall_deadline = milliseconds(250)});
    EXPECT_EQ(call().fault, TransportFault::deadline);
}

TEST(Transport, EndsAReplyThatStandsStill) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
            wire.sleep(milliseconds(5000));
        },
        {.stall_deadline = milliseconds(100)});
    const auto begin = steady_clock::now();
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::stall);
    EXPECT_THAT(reply.reason, HasSubstr("no byte for 100 ms"));
    EXPECT_LT(steady_clock::now() - begin, milliseconds(3000));
}

TEST(Transport, EndsAnEndlessChunkedReply) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            const std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
            while (!wire.is_stopping() && wire.send(chunk)) {
            }
            wire.close();
        },
        {.most_bytes = 100'000});
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::too_large);
    EXPECT_LE(reply.bytes, 101'000U);
}

TEST(Transport, RefusesAnAnnouncedLengthThatIsTooLarge) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx");
            wire.sleep(milliseconds(5000));
        },
        {.most_bytes = 100'000});
    EXPECT_EQ(call().fault, TransportFault::too_large);
}

TEST(Transport, BoundsTheRepliesOfAllCallsTogether) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" +
                      std::string(60'000, 'x'));
            wire.sleep(milliseconds(1500));  // so that both are held at the same time
            wire.send(std::string(10'000, 'x'));
        },
        {.most_bytes = 100'000, .most_bytes_together = 100'000});
    call.transport.send(1, 0, "/path", text("{}"));
    call.transport.send(2, 0, "/path", text("{}"));
    const auto replies = wait_for(call.transport, 2);
    ASSERT_THAT(replies, SizeIs(2));
    EXPECT_EQ(replies[0].fault, TransportFault::too_large);
    EXPECT_EQ(replies[1].body.size(), 70'000U);
    EXPECT_EQ(call().body.size(), 70'000U) << "what was held is free again";
}

TEST(Transport, TakesAReplyOfExactlyTheMostBytes) {
    OneCall call(
        [](const SeenRequest&, Wire& wire) { wire.answer(200, std::string(100'000, 'x')); },
        {.most_bytes = 100'000});
    EXPECT_EQ(call().body.size(), 100'000U);
}

TEST(Transport, EndsHugeHeaderLines) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.send("HTTP/1.1 200 OK\r\n");
        const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
        while (!wire.is_stopping() && wire.send(line)) {
        }
        wire.close();
    });
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::too_large);
    EXPECT_THAT(reply.reason, HasSubstr("more header lines"));
    EXPECT_LT(reply.bytes, 70'000U);
}

TEST(Transport, RefusesACompressedReply) {
    for (const std::string body : {"\x1f\x8b garbage", ""}) {
        OneCall call([&](const SeenRequest&, Wire& wire) {
            wire.answer(200, body, "Content-Encoding: gzip\r\n");
        });
        const auto reply = call();
        EXPECT_EQ(reply.fault, TransportFault::protocol);
        EXPECT_THAT(reply.reason, HasSubstr("Content-Encoding"));
    }
}

TEST(Transport, TakesNothingOfACompressedReply) {
    OneCall call([&](const SeenRequest&, Wire& wire) {
        wire.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10000000\r\n\r\n");
        while (!wire.is_stopping() && wire.send(std::string(10'000, 'x'))) {
        }
        wire.close();
    });
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::protocol);
    EXPECT_LT(reply.bytes, 1000U);
}

TEST(Transport, RefusesACompressedTransfer) {
    OneCall call([&](const SeenRequest&, Wire& wire) {
        // 100 times "a" as gzip, in one chunk.
        const std::string packed(
            "\x1f\x8b\x08\0\0\0\0\0\x02\x03\x4b\x4c\xa4\x3d\0\0\x64\x7a\x70\xaf\x64\0\0\0", 24);
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n18\r\n" + packed +
                  "\r\n0\r\n\r\n");
        wire.close();
    });
    const auto reply = call();
    EXPECT_EQ(reply.fault, TransportFault::protocol) << reply.body;
    EXPECT_THAT(reply.reason, HasSubstr("Transfer-Encoding"));
}

TEST(Transport, RefusesWhatIsNotHttp) {
    OneCall call([](const SeenRequest&, Wire& wire) {
        wire.send("220 smtp.example.org ready\r\n");
        wire.close();
    });
    EXPECT_EQ(call().fault, TransportFault::protocol);
}

TEST(Transport, WorksAgainAfterEachFault) {
    OneCall call([&](const SeenRequest& request, Wire& wire) {
        if (request.body == "reset") {
            wire.reset();
        } else if (request.body == "encoded") {
            wire.answer(200, "abc", "Content-Encoding: br\r\n");
        } else {
            answer_well(request, wire);
        }
    });
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(call("reset").fault, TransportFault::reset);
        EXPECT_EQ(call("encoded").fault, TransportFault::protocol);
        EXPECT_EQ(call("x").body, "you said x");
    }
}

TEST(Transport, ForgetsACancelledCall) {
    OneCall call([](const SeenRequest& request, Wire& wire) {
        wire.sleep(milliseconds(request.number == 0 ? 5000 : 0));
        answer_well(request, wire);
    });
    call.transport.send(100, 0, "/", text("slow"));
    EXPECT_THAT(call.transport.poll(milliseconds(50)), IsEmpty());
    call.transport.cancel(100);
    call.transport.cancel(100);
    EXPECT_EQ(call.transport.in_flight(), 0U);
    EXPECT_EQ(call("quick").body, "you said quick");
}

TEST(Transport, WaitsNoLongerThanTheTimeout) {
    OneCall call([](const SeenRequest&, Wire& wire) { wire.sleep(milliseconds(5000)); });
    call.transport.send(1, 0, "/", text("{}"));
    for (const int timeout : {0, 50}) {
        const auto begin = steady_clock::now();
        EXPECT_THAT(call.transport.poll(milliseconds(timeout)), IsEmpty());
        EXPECT_LT(steady_clock::now() - begin, milliseconds(timeout + 1000));
    }
}

TEST(Transport, ReachesAUnixSocket) {
    const testing::TemporaryDirectory directory;
    LoopbackServer server(answer_well, directory / "socket");
    Transport transport({});
    transport.add_endpoint({.address = parse_address("http://node12:8000", "test"),
                            .unix_socket = directory / "socket",
                            .key = Secret(kCanary)},
                           "test");
    transport.send(1, 0, "/", text("{}"));
    const auto replies = wait_for(transport, 1);
    ASSERT_THAT(replies, SizeIs(1));
    EXPECT_EQ(replies[0].body, "you said {}");
}

TEST(Transport, AsksNoProxyForThisMachineAndHonoursNoProxy) {
    LoopbackServer server(answer_well);
    LoopbackServer proxy([](const SeenRequest&, Wire& wire) { wire.answer(200, "proxy"); });
    ::setenv("http_proxy", proxy.url().c_str(), 1);
    ::setenv("no_proxy", "here.invalid", 1);
    Transport transport({.connect_deadline = milliseconds(5000)});
    transport.add_endpoint(at(server.url(), kCanary), "test");
    transport.add_endpoint(at("http://there.invalid"), "test");
    transport.add_endpoint(at("http://here.invalid"), "test");
    for (std::uint64_t id = 0; id < 3; ++id) {
        transport.send(id, id, "/", text("{}"));
    }
    auto replies = wait_for(transport, 3);
    ::unsetenv("http_proxy");
    ::unsetenv("no_proxy");
    ASSERT_THAT(replies, SizeIs(3));
    std::sort(replies.begin(), replies.end(), [](auto& a, auto& b) { return a.id < b.id; });
    EXPECT_EQ(replies[0].body, "you said {}");
    EXPECT_EQ(replies[1].body, "proxy");
    EXPECT_EQ(replies[2].status, 0);
}

TEST(Transport, ShowsNoProxyAKeyInClearText) {
    LoopbackServer proxy([](const SeenRequest&, Wire& wire) { wire.answer(200, "proxy"); });
    ::setenv("http_proxy", proxy.url().c_str(), 1);
    Transport transport({.connect_deadline = milliseconds(5000)});
    auto options = at("http://there.invalid", kCanary);
    options.allow_insecure_key = true;
    transport.add_endpoint(std::move(options), "test");
    transport.send(1, 0, "/", text("{}"));
    const auto replies = wait_for(transport, 1);
    ::unsetenv("http_proxy");
    ASSERT_THAT(replies, SizeIs(1));
    EXPECT_EQ(replies[0].status, 0);
    EXPECT_EQ(proxy.requests(), 0);
}

TEST(Transport, ReachesAnIpv6Address) {
    std::unique_ptr<LoopbackServer> server;
    try {
        server = std::make_unique<LoopbackServer>(answer_well, LoopbackServer::kIpv6);
    } catch (const std::runtime_error& error) {
        GTEST_SKIP() << "no IPv6 on this machine: " << error.what();
    }
    Transport transport({});
    const std::string url = "http://[::1]:" + std::to_string(server->port()) + "/v1";
    transport.add_endpoint(at(url, kCanary), "test");  // a key may go to this machine
    transport.send(1, 0, "/path", text("{}"));
    EXPECT_EQ(wait_for(transport, 1).at(0).body, "you said {}");
    EXPECT_THAT(server->seen().at(0).head, HasSubstr("Host: [::1]:"));
}

TEST(Transport, RefusesAKeyInClearTextToAnotherMachine) {
    Transport transport({});
    const auto add = [&](bool allow) {
        auto options = at("http://node12:8000", kCanary);
        options.allow_insecure_key = allow;
        transport.add_endpoint(std::move(options), "job.json: /backend/endpoints/0");
    };
    EXPECT_NO_THROW(add(true));
    try {
        add(false);
        FAIL() << "a key would travel in clear text";
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), AllOf(StartsWith("job.json: /backend/endpoints/0: "),
                                        HasSubstr("http://node12:8000"), Not(HasSubstr("canary"))));
    }
}

TEST(Transport, NamesCertificatesThatCannotBeRead) {
    Transport transport({});
    auto options = at("https://node12");
    options.ca_file = "/no/such.pem";
    EXPECT_THROW(transport.add_endpoint(std::move(options), "test"), UsageError);
}

TEST(Transport, HandsOutNothingWithTheKey) {
    const std::string said = std::string("wrong key ") + kCanary + ", see http://u:p@h/?k=v";
    for (const int status : {200, 401}) {
        OneCall call([&](const SeenRequest&, Wire& wire) {
            wire.answer(status, said, "Location: http://h/" + std::string(kCanary) + "\r\n");
        });
        const auto reply = call();
        EXPECT_THAT(reply.body, AllOf(HasSubstr("wrong key [key],"), Not(HasSubstr("canary"))));
        EXPECT_THAT(reply.reason + (status == 200 ? "" : reply.location), Not(HasSubstr("canary")));
    }
}

TEST(Transport, LeavesAnswersAloneThatHoldTheDummyKeysOfLocalServers) {
    LoopbackServer server(
        [](const SeenRequest&, Wire& wire) { wire.answer(200, R"({"error":null})"); });
    Transport transport({});
    transport.add_endpoint(at(server.url(), "null"), "test");
    transport.send(1, 0, "/", text("{}"));
    EXPECT_EQ(wait_for(transport, 1).at(0).body, R"({"error":null})");
}

/// tls_server.py, which a Python and openssl are needed for.
class TlsServer : public ::testing::Test {
  protected:
    /// False where there is no python3 or openssl.
    [[nodiscard]] bool start(const std::string& more = "") {
        const std::string python =
            std::getenv("DLN_PYTHON") ? std::getenv("DLN_PYTHON") : "python3";
        // Its input is a pipe that ends with this process, its output comes by a fifo.
        const std::string fifo = directory_ / "out";
        const std::string command = "mkfifo " + fifo + " && exec " + python + " " + DLN_TLS_SERVER +
                                    " " + directory_.path() + " " + more + " > " + fifo +
                                    " 2>/dev/null";
        input_ = ::popen(command.c_str(), "w");
        for (int i = 0; i < 500 && ::access(fifo.c_str(), R_OK) != 0; ++i) {
            ::usleep(10'000);
        }
        output_.open(fifo);
        return static_cast<bool>(output_ >> port_);
    }
    void TearDown() override {
        if (input_ != nullptr) {
            ::pclose(input_);
        }
    }
    TransportReply ask(bool trusted, const std::string& host = "127.0.0.1") {
        Transport transport({.connect_deadline = milliseconds(3000)});
        auto options = at("https://" + host + ":" + std::to_string(port_), kCanary);
        options.ca_file = trusted ? directory_ / "cert.pem" : "";
        transport.add_endpoint(std::move(options), "test");
        transport.send(1, 0, "/", text("{}"));
        return wait_for(transport, 1).at(0);
    }
    testing::TemporaryDirectory directory_;
    std::FILE* input_ = nullptr;
    std::ifstream output_;
    int port_ = 0;
};

TEST_F(TlsServer, IsTrustedByTheCertificatesGiven) {
    if (!start()) {
        GTEST_SKIP() << "needs python3 and openssl";
    }
    const auto reply = ask(true);
    EXPECT_EQ(reply.body, "secret") << reply.reason;
}

TEST_F(TlsServer, IsNotTrustedByTheSystem) {
    if (!start()) {
        GTEST_SKIP() << "needs python3 and openssl";
    }
    EXPECT_EQ(ask(false).fault, TransportFault::certificate);
}

TEST_F(TlsServer, IsNotTrustedUnderAnotherName) {
    if (!start()) {
        GTEST_SKIP() << "needs python3 and openssl";
    }
    EXPECT_EQ(ask(true, "localhost").fault, TransportFault::certificate);
}

TEST_F(TlsServer, IsOfferedHttp2) {
    if (!start("h2")) {
        GTEST_SKIP() << "needs python3 and openssl";
    }
    (void)ask(true);
    std::string agreed;
    output_ >> agreed;
    EXPECT_EQ(agreed, "h2");
}

}  // namespace
}  // namespace dln::http
