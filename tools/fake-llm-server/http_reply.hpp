#pragma once
// A reply as it goes over the wire, and what goes wrong with it on the way.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fake_llm {

struct Header {
    std::string name;
    std::string value;
};

enum class Delivery : std::uint8_t {
    whole,
    truncated,     ///< Content-Length promises more than comes, then the connection ends
    slow,          ///< byte by byte, `pace_ms` apart
    endless,       ///< chunks without end, `pace_ms` apart
    stall,         ///< nothing at all
    reset,         ///< RST instead of the reply
    reset_middle,  ///< RST after half of the reply
    close_after,   ///< the whole reply, then the connection ends unannounced
    padded,        ///< `padding` spaces before the body
};

struct HttpReply {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<Header> headers;
    std::string body;
    Delivery delivery = Delivery::whole;
    double pace_ms = 0.0;
    std::uint64_t padding = 0;
};

/// Status line and headers; with Content-Length unless the delivery is endless (then chunked).
[[nodiscard]] std::string reply_head(const HttpReply& reply, bool keep_alive);

[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace fake_llm
