#pragma once
// What a backend met between the program and its model, counted on one rank since this process began: for
// people, never part of a result, and 0 throughout where nothing can go wrong in between. Pure data.

#include <cstdint>
#include <span>
#include <vector>

namespace dln {

struct BackendCounts {
    std::int64_t sent = 0;      ///< calls, further tries and second copies included
    std::int64_t answered = 0;  ///< replies that were understood
    std::int64_t failed = 0;    ///< calls that came to nothing: refused, or tried too often
    std::int64_t tried_again = 0;
    std::int64_t failovers = 0;  ///< further tries that went to another endpoint
    std::int64_t copies = 0;     ///< second copies of slow calls
    std::int64_t copies_won = 0;
    std::int64_t recalled = 0;  ///< calls whose reply was held already: not sent
    // Tries without an answer, each in one of these.
    std::int64_t busy = 0;            ///< status 429
    std::int64_t server_errors = 0;   ///< 5xx
    std::int64_t come_again = 0;      ///< 408, 409, 425: the server asks for another try
    std::int64_t refusals = 0;        ///< any other status
    std::int64_t no_connection = 0;   ///< no such host, not listening, no TLS
    std::int64_t too_late = 0;        ///< no full reply before the deadline
    std::int64_t stalled = 0;         ///< a reply began and stood still
    std::int64_t lost = 0;            ///< the connection went away before the reply
    std::int64_t cut_off = 0;         ///< the reply ended early
    std::int64_t too_large = 0;       ///< more bytes than are allowed
    std::int64_t other_protocol = 0;  ///< not HTTP, or compressed
    std::int64_t unusable = 0;        ///< status 200, but not an answer to what was asked
    // What the client did about it.
    std::int64_t outages = 0;     ///< times that an endpoint was given up for a while, on each rank
    std::int64_t slow_downs = 0;  ///< times that fewer calls were allowed in flight
    std::int64_t queued_ms = 0;   ///< sum over calls: from being ready to being sent
    std::int64_t backed_off_ms = 0;  ///< sum over pauses before further tries
    std::int64_t bytes_sent = 0;
    std::int64_t bytes_received = 0;

    BackendCounts& operator+=(const BackendCounts& other);
    friend bool operator==(const BackendCounts&, const BackendCounts&) = default;
};

/// One of the counts: its name in files, and where it is.
struct BackendCountField {
    const char* name;
    std::int64_t BackendCounts::*member;
};
/// All of them, in the order of the struct.
[[nodiscard]] std::span<const BackendCountField> backend_count_fields();

/// As integers that can be summed over ranks, and back. Pre of the latter: made by the former.
[[nodiscard]] std::vector<std::int64_t> to_values(const BackendCounts& counts);
[[nodiscard]] BackendCounts backend_counts_from(std::span<const std::int64_t> values);

}  // namespace dln
