#include "http_reply.hpp"

#include <fmt/format.h>

namespace fake_llm {

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 302:
            return "Found";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 422:
            return "Unprocessable Entity";
        case 429:
            return "Too Many Requests";
        case 500:
            return "Internal Server Error";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Unknown";
    }
}

std::string reply_head(const HttpReply& reply, bool keep_alive) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\nserver: fake-llm\r\ncontent-type: {}\r\n",
                                   reply.status, reason_phrase(reply.status), reply.content_type);
    for (const Header& header : reply.headers) {
        head += fmt::format("{}: {}\r\n", header.name, header.value);
    }
    if (!keep_alive) {
        head += "connection: close\r\n";
    }
    if (reply.delivery == Delivery::endless) {
        head += "transfer-encoding: chunked\r\n\r\n";
    } else {
        constexpr std::uint64_t kPromised = 100;  // bytes that never come
        const std::uint64_t more =
            reply.delivery == Delivery::truncated ? kPromised : reply.padding;
        head += fmt::format("content-length: {}\r\n\r\n", reply.body.size() + more);
    }
    return head;
}

}  // namespace fake_llm
