#pragma once
// Many HTTP calls at a time over one libcurl multi handle, without threads. Knows sockets, deadlines and
// bounds; knows nothing of language models, retries or what a body means. The only file that sees curl.h.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llm/http/secret.hpp"

namespace dln::http {

struct TransportOptions {
    std::string base_address;  ///< "http://127.0.0.1:8000", without a trailing slash; or "https://..."
    std::string unix_socket;   ///< connect there instead; empty: TCP
    Secret key;                ///< sent as "Authorization: Bearer"; empty: none
    std::string ca_file;       ///< certificates to trust instead of the system's
    std::chrono::milliseconds connect_deadline{10'000};
    std::chrono::milliseconds call_deadline{120'000};
    std::chrono::milliseconds stall_deadline{60'000};  ///< without a single byte
    std::size_t most_bytes = 64u << 20;                ///< of a reply's body, chunked or not
    std::size_t most_connections = 64;
};

/// Why a call has no HTTP status.
enum class TransportFault { none, connect, resolve, tls, deadline, stall, reset, too_large, protocol };

struct TransportReply {
    std::uint64_t id = 0;
    TransportFault fault = TransportFault::none;
    int status = 0;             ///< HTTP status; 0 with a fault
    std::string body;
    std::string retry_after;    ///< header as sent; empty: none
    std::string content_type;
    std::string reason;         ///< what happened, printable, without the key; empty without a fault
    std::chrono::microseconds took{0};
};

class Transport {
  public:
    /// Throws UsageError for an address that is none, or a key that would go in clear text to another
    /// host and was not allowed to.
    explicit Transport(const TransportOptions& options);
    Transport(Transport&&) noexcept;
    Transport& operator=(Transport&&) noexcept;
    ~Transport();
    /// POST of JSON when `body` is not empty, else GET of base_address + path.
    void send(std::uint64_t id, const std::string& path, std::string body);
    /// Gives a call up; no reply will come.
    void cancel(std::uint64_t id);
    /// Waits at most `timeout` for something to happen and returns what has ended.
    [[nodiscard]] std::vector<TransportReply> poll(std::chrono::milliseconds timeout);
    [[nodiscard]] std::size_t in_flight() const noexcept;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace dln::http
