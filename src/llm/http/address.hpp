#pragma once
// Addresses of endpoints: what is one, and whether a key may be sent there. Pure.

#include <string>
#include <string_view>

namespace dln::http {

struct Address {
    bool tls = false;
    std::string host;  ///< lower case; an IPv6 address without its brackets
    int port = 0;
    std::string path;  ///< "" or "/v1": what calls' paths are appended to

    /// As it is requested and shown: "http://127.0.0.1:8000/v1".
    [[nodiscard]] std::string url() const;
    friend bool operator==(const Address&, const Address&) = default;
};

/// Reads "http[s]://host[:port][/path]". `place` (file and pointer) begins messages. Throws UsageError for
/// anything else, also for a user part, a query or a fragment: such an address tends to hold a key.
[[nodiscard]] Address parse_address(std::string_view text, std::string_view place);

/// True for 127.0.0.0/8, ::1 and the name localhost, which libcurl never asks a name server for.
[[nodiscard]] bool is_loopback(const Address& address);

/// Whether a key may be sent to `address`: in clear text only on this machine, unless allowed.
[[nodiscard]] bool key_may_travel(const Address& address, bool allow_insecure);

}  // namespace dln::http
