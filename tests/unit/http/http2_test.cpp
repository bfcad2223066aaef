// Calls over HTTP/2: nghttpx with TLS in front of a server that does what servers do.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "llm/http/transport.hpp"
#include "support/temporary_directory.hpp"
#include "unit/http/loopback_server.hpp"

namespace dln::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::SizeIs;

/// A handler whose replies are as its calls' bodies say; otherwise it says them back.
void answer_as_told(const SeenRequest& request, Wire& wire) {
    if (request.body == "torn") {
        wire.send("HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\nonly this");
        wire.reset();
    } else if (request.body == "stall") {
        wire.send("HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\nonly this");
        wire.sleep(std::chrono::seconds(30));
    } else if (request.body == "big") {
        wire.answer(200, std::string(300'000, 'x'));
    } else {
        wire.answer(200, "you said " + request.body);
    }
}

class Http2 : public ::testing::Test {
  protected:
    void start(const std::string& options = "") {
        const char* python = std::getenv("DLN_PYTHON");
        const std::string fifo = directory_ / "out";
        ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
        const std::string command = "exec " + std::string(python ? python : "python3") +
                                    " " DLN_HTTP2_PROXY " " + directory_.path() + " " +
                                    std::to_string(backend_.port()) + " " + options + " > " + fifo;
        proxy_ = ::popen(command.c_str(), "w");
        output_.open(fifo);
        ASSERT_TRUE(output_ >> port_) << "no nghttpx (nghttp2-proxy)?";
    }
    void TearDown() override {
        if (proxy_ != nullptr) ::pclose(proxy_);
    }

    Transport transport(TransportOptions options = {}) {
        Transport made(options);
        EndpointOptions endpoint;
        endpoint.address = parse_address("https://127.0.0.1:" + std::to_string(port_), "test");
        endpoint.ca_file = directory_ / "cert.pem";
        made.add_endpoint(std::move(endpoint), "test");
        return made;
    }
    static void send(Transport& transport, std::uint64_t id, const std::string& body) {
        transport.send(id, 0, "/path", std::make_shared<const std::string>(body));
    }
    /// Replies by their calls, until there are `count` or half a minute is over.
    static std::map<std::uint64_t, TransportReply> collect(Transport& transport,
                                                           std::size_t count) {
        std::map<std::uint64_t, TransportReply> replies;
        const auto end = steady_clock::now() + std::chrono::seconds(30);
        while (replies.size() < count && steady_clock::now() < end) {
            for (auto& reply : transport.poll(milliseconds(100))) {
                const auto id = reply.id;
                replies[id] = std::move(reply);
            }
        }
        return replies;
    }
    void say_goaway() {
        std::fputs("goaway\n", proxy_);
        std::fflush(proxy_);
        std::string done;
        ASSERT_TRUE(output_ >> done);
    }

    /// What nghttpx says of the calls that it has finished.
    struct Seen {
        std::set<std::string> protocols;
        std::set<std::string> connections;
        std::size_t calls = 0;
    };
    Seen seen(std::size_t calls) {
        Seen result;
        const auto end = steady_clock::now() + std::chrono::seconds(10);
        do {
            result = {};
            std::ifstream log(directory_ / "access.log");
            std::string protocol;
            std::string port;
            std::string status;
            while (log >> protocol >> port >> status) {
                result.protocols.insert(protocol);
                result.connections.insert(port);
                ++result.calls;
            }
        } while (result.calls < calls && steady_clock::now() < end);
        return result;
    }

    LoopbackServer backend_{answer_as_told};
    testing::TemporaryDirectory directory_;
    std::FILE* proxy_ = nullptr;
    std::ifstream output_;
    int port_ = 0;
};

TEST_F(Http2, ManyCallsShareOneConnection) {
    start();
    Transport calls = transport();
    for (std::uint64_t id = 0; id < 60; ++id) send(calls, id, std::to_string(id));
    const auto replies = collect(calls, 60);
    ASSERT_THAT(replies, SizeIs(60));
    for (const auto& [id, reply] : replies) {
        EXPECT_EQ(reply.body, "you said " + std::to_string(id)) << reply.reason;
    }
    const Seen all = seen(60);
    EXPECT_THAT(all.protocols, Each("h2"));
    EXPECT_THAT(all.connections, SizeIs(1));
}

TEST_F(Http2, ServersLimitOfStreamsOpensMoreConnections) {
    start("--frontend-http2-max-concurrent-streams=5");
    Transport calls = transport();
    for (std::uint64_t id = 0; id < 40; ++id) send(calls, id, std::to_string(id));
    const auto replies = collect(calls, 40);
    ASSERT_THAT(replies, SizeIs(40));
    for (const auto& [id, reply] : replies) {
        EXPECT_EQ(reply.body, "you said " + std::to_string(id)) << reply.reason;
    }
    EXPECT_THAT(seen(40).protocols, Each("h2"));
}

TEST_F(Http2, ResetStreamEndsItsCallAlone) {
    start();
    Transport calls = transport();
    for (std::uint64_t id = 0; id < 20; ++id) send(calls, id, id % 4 == 0 ? "torn" : "well");
    const auto replies = collect(calls, 20);
    ASSERT_THAT(replies, SizeIs(20));
    for (const auto& [id, reply] : replies) {
        if (id % 4 != 0) {
            EXPECT_EQ(reply.body, "you said well") << reply.reason;
        } else {  // before or after its header lines
            EXPECT_THAT(reply.fault, AnyOf(TransportFault::torn, TransportFault::reset));
        }
    }
    EXPECT_THAT(seen(20).connections, SizeIs(1));
}

TEST_F(Http2, BytesAreCountedForEachCall) {
    start();
    Transport calls = transport({.most_bytes = 100'000});
    for (std::uint64_t id = 0; id < 20; ++id) send(calls, id, id % 4 == 0 ? "big" : "well");
    const auto replies = collect(calls, 20);
    ASSERT_THAT(replies, SizeIs(20));
    for (const auto& [id, reply] : replies) {
        EXPECT_EQ(reply.fault, id % 4 == 0 ? TransportFault::too_large : TransportFault::none)
            << reply.reason;
    }
    send(calls, 20, "again");
    EXPECT_EQ(collect(calls, 1)[20].body, "you said again");
    EXPECT_THAT(seen(16).connections, SizeIs(1));
}

TEST_F(Http2, ReplyThatStandsStillEndsAlone) {
    start();
    Transport calls = transport({.stall_deadline = milliseconds(300)});
    send(calls, 0, "stall");
    for (std::uint64_t id = 1; id < 10; ++id) send(calls, id, "well");
    const auto replies = collect(calls, 10);
    ASSERT_THAT(replies, SizeIs(10));
    EXPECT_EQ(replies.at(0).fault, TransportFault::stall);
    for (std::uint64_t id = 1; id < 10; ++id) EXPECT_EQ(replies.at(id).body, "you said well");
    send(calls, 10, "again");
    EXPECT_EQ(collect(calls, 1)[10].body, "you said again");
    EXPECT_THAT(seen(10).connections, SizeIs(1));
}

TEST_F(Http2, CallEndsAtItsDeadlineAlone) {
    start();
    Transport calls = transport({.call_deadline = milliseconds(3000)});
    send(calls, 0, "stall");
    send(calls, 1, "well");
    auto replies = collect(calls, 2);
    EXPECT_EQ(replies[0].fault, TransportFault::deadline) << replies[0].reason;
    EXPECT_EQ(replies[1].body, "you said well");
}

TEST_F(Http2, CancelledCallLeavesTheOthers) {
    start();
    Transport calls = transport();
    send(calls, 0, "stall");
    for (std::uint64_t id = 1; id < 10; ++id) send(calls, id, "well");
    auto replies = collect(calls, 9);  // the first one has no reply
    calls.cancel(0);
    send(calls, 10, "again");
    replies.merge(collect(calls, 1));
    ASSERT_THAT(replies, SizeIs(10));
    EXPECT_EQ(replies.count(0), 0U);
    for (const auto& [id, reply] : replies) EXPECT_EQ(reply.status, 200) << reply.reason;
    EXPECT_THAT(seen(10).connections, SizeIs(1));
}

TEST_F(Http2, ServerThatSaysGoawayIsCalledAnew) {
    start();
    Transport calls = transport();
    std::uint64_t id = 0;
    std::size_t answered = 0;
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 20; ++i) send(calls, id++, "well");
        if (round == 2) say_goaway();
        for (const auto& [unused, reply] : collect(calls, 20)) {
            // What comes to nothing may be sent again.
            EXPECT_THAT(reply.fault, AnyOf(TransportFault::none, TransportFault::reset,
                                           TransportFault::torn, TransportFault::connect))
                << reply.reason;
            answered += reply.body == "you said well" ? 1U : 0U;
        }
        EXPECT_EQ(calls.in_flight(), 0U);
    }
    EXPECT_GE(answered, 60U);
    const Seen all = seen(answered);
    EXPECT_THAT(all.protocols, Each("h2"));
    EXPECT_GE(all.connections.size(), 2U);
}

TEST(PlainHttp, StaysAtHttp11) {
    LoopbackServer server(answer_as_told);
    Transport calls(TransportOptions{});
    EndpointOptions endpoint;
    endpoint.address = parse_address(server.url(), "test");
    calls.add_endpoint(std::move(endpoint), "test");
    calls.send(0, 0, "/path", std::make_shared<const std::string>("well"));
    std::vector<TransportReply> replies;
    const auto end = steady_clock::now() + std::chrono::seconds(10);
    while (replies.empty() && steady_clock::now() < end) replies = calls.poll(milliseconds(100));
    ASSERT_THAT(replies, SizeIs(1));
    const std::string head = server.seen().at(0).head;
    EXPECT_NE(head.find("POST /path HTTP/1.1"), std::string::npos) << head;
    EXPECT_EQ(head.find("pgrade"), std::string::npos) << head;
}

}  // namespace
}  // namespace dln::http
