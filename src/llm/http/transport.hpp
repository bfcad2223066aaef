#pragma once
// Many HTTP calls at a time, to several endpoints, over one libcurl multi handle and without threads.
// Knows sockets, deadlines and bounds; knows nothing of language models, retries or what a body means.
// Only transport.cpp and curl_call.* see curl.h.
//
// Over TLS, HTTP/2 is used where the server agrees to it: calls then share a connection, up to 100 or the
// server's own limit of streams, and what ends one of them does not end the others. http:// stays HTTP/1.1.
//
// What never happens: a redirect is followed, a compressed body is unpacked, a key goes to a proxy or,
// unless allowed, in clear text to another machine, libcurl's log is switched on, more bytes are kept than
// allowed.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/http/address.hpp"
#include "llm/http/secret.hpp"

namespace dln::http {

struct EndpointOptions {
    Address address;
    std::string unix_socket;          ///< connect there instead of address.host; empty: TCP
    Secret key;                       ///< sent as "Authorization: Bearer"; empty: none
    bool allow_insecure_key = false;  ///< in clear text to another machine
    std::string ca_file;              ///< certificates to trust instead of the system's
};

struct TransportOptions {
    std::chrono::milliseconds connect_deadline{10'000};
    std::chrono::milliseconds call_deadline{120'000};  ///< connecting and waiting included
    /// Without a byte once the reply has begun. Until then the call deadline holds: a model that computes
    /// sends nothing.
    std::chrono::milliseconds stall_deadline{30'000};
    std::size_t most_bytes = 64U << 20U;            ///< of a reply's body, chunked or not
    std::size_t most_bytes_together = 128U << 20U;  ///< of the bodies of all calls in flight
    std::size_t most_header_bytes = 64U << 10U;     ///< of a reply's header lines together
    std::size_t most_connections = 64;              ///< HTTP/1.1 needs one for each call in flight
};

/// Why a call has no HTTP status. The order is that of counters.
enum class TransportFault {
    none,
    resolve,      ///< no such host
    connect,      ///< refused, unreachable or too slow to connect
    tls,          ///< no secure connection
    certificate,  ///< the server is not who it should be: trying again changes nothing
    deadline,     ///< no full reply in time
    stall,        ///< the reply began and then stood still
    reset,        ///< the connection went away before the reply began
    torn,         ///< the reply ended early
    too_large,    ///< more bytes than are allowed
    protocol,     ///< something that is not HTTP, or an encoding that was not asked for
};
inline constexpr std::size_t kTransportFaults = 11;
[[nodiscard]] std::string_view name_of(TransportFault fault);

struct TransportReply {
    std::uint64_t id = 0;
    TransportFault fault = TransportFault::none;
    int status = 0;  ///< HTTP status; 0 with a fault
    /// Without the key, should a server repeat it: always in a body that is not an answer (status 200), and
    /// in one for keys of at least 16 bytes, as shorter ones can be words of an answer.
    std::string body;
    std::string retry_after;   ///< header as sent; empty: none
    std::string content_type;  ///< as sent
    std::string location;      ///< where a redirect would have led; redacted
    std::string reason;        ///< what happened, printable, without the key; empty without a fault
    std::size_t bytes = 0;     ///< received, header lines included
    int resent = 0;  ///< times that it was sent anew, as a kept connection went away before a reply
    std::chrono::microseconds took{0};
};

class Transport {
  public:
    explicit Transport(const TransportOptions& options);
    Transport(Transport&&) noexcept;
    Transport& operator=(Transport&&) noexcept;
    ~Transport();
    /// Returns the endpoint's index. Throws UsageError, beginning with `place`, for a key that would go in
    /// clear text to another machine and was not allowed to, and for certificates that cannot be read.
    std::size_t add_endpoint(EndpointOptions options, std::string_view place);
    /// POST of JSON when `body` is not empty, else GET, of the endpoint's address + path. Nothing is sent
    /// before the next poll. Pre: `id` is not in flight.
    void send(std::uint64_t id,
              std::size_t endpoint,
              std::string_view path,
              std::shared_ptr<const std::string> body);
    /// Gives a call up; no reply will come. Its connection is closed.
    void cancel(std::uint64_t id);
    /// Waits at most `timeout` for something to happen and returns what has ended. May return nothing
    /// before the timeout.
    [[nodiscard]] std::vector<TransportReply> poll(std::chrono::milliseconds timeout);
    [[nodiscard]] std::size_t in_flight() const noexcept;
    /// `text` as redact() leaves it with the endpoint's key.
    [[nodiscard]] std::string redacted(std::size_t endpoint, std::string_view text) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace dln::http
