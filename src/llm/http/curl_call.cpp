#include "llm/http/curl_call.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "dln/text/utf8.hpp"

namespace dln::http {

namespace {

// What a reply announces is reserved up to here; a lying server gets no memory by it.
constexpr std::size_t kMostReserved = 1U << 20U;

bool is_named(std::string_view name, std::string_view lower_case) {
    return std::equal(
        name.begin(), name.end(), lower_case.begin(), lower_case.end(),
        [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

}  // namespace

std::string_view name_of(TransportFault fault) {
    constexpr std::array<std::string_view, kTransportFaults> kNames{
        "none",  "resolve", "connect", "tls",       "certificate", "deadline",
        "stall", "reset",   "torn",    "too_large", "protocol"};
    return kNames.at(static_cast<std::size_t>(fault));
}

bool CurlCall::take_header(std::string_view line) {
    touch();
    header_bytes += line.size();
    if (header_bytes > options->most_header_bytes) {
        return refuse(TransportFault::too_large);
    }
    if (line.starts_with("HTTP/")) {  // the lines of a 100 Continue count for nothing
        reply.retry_after.clear();
        reply.content_type.clear();
        reply.location.clear();
        encoded = false;
        return true;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
        return true;
    }
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (is_named(name, "retry-after")) {
        reply.retry_after = value;
    } else if (is_named(name, "content-type")) {
        reply.content_type = value;
    } else if (is_named(name, "location")) {
        reply.location = value;
    } else if (is_named(name, "content-encoding")) {
        encoded = encoded || !(value.empty() || is_named(value, "identity"));
    } else if (is_named(name, "transfer-encoding")) {
        // libcurl unpacks these without having asked for them.
        encoded = encoded || !(is_named(value, "chunked") || is_named(value, "identity"));
    } else if (is_named(name, "content-length")) {
        std::size_t length = 0;
        std::from_chars(value.data(), value.data() + value.size(), length);
        reply.body.reserve(std::min({length, options->most_bytes, kMostReserved}));
    }
    return true;
}

bool CurlCall::take_body(std::string_view bytes) {
    touch();
    if (encoded) {
        return refuse(TransportFault::protocol);
    }
    // libcurl 7.88 does not bound chunked replies: bytes are counted here.
    if (bytes.size() > options->most_bytes - reply.body.size() ||
        bytes.size() > options->most_bytes_together - *bytes_together) {
        return refuse(TransportFault::too_large);
    }
    reply.body.append(bytes);
    *bytes_together += bytes.size();
    body_bytes += bytes.size();
    return true;
}

std::size_t CurlCall::on_header(char* bytes, std::size_t size, std::size_t count, void* call) {
    return static_cast<CurlCall*>(call)->take_header({bytes, size * count}) ? size * count : 0;
}
std::size_t CurlCall::on_body(char* bytes, std::size_t size, std::size_t count, void* call) {
    return static_cast<CurlCall*>(call)->take_body({bytes, size * count}) ? size * count : 0;
}

int CurlCall::on_sending(void* call, char* /*to*/, char* /*from*/, int /*port*/, int /*port*/) {
    ++static_cast<CurlCall*>(call)->times_sent;
    return CURL_PREREQFUNC_OK;
}

TransportFault CurlCall::fault_of(CURLcode code) const {
    switch (code) {
        case CURLE_OK:
            return TransportFault::none;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return TransportFault::resolve;
        case CURLE_COULDNT_CONNECT:
        case CURLE_PROXY:
            return TransportFault::connect;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CIPHER:
            return TransportFault::tls;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
            return TransportFault::certificate;
        case CURLE_OPERATION_TIMEDOUT:
            return get<curl_off_t>(easy, CURLINFO_PRETRANSFER_TIME_T) == 0
                       ? TransportFault::connect
                       : TransportFault::deadline;
        case CURLE_FILESIZE_EXCEEDED:
            return TransportFault::too_large;
        case CURLE_PARTIAL_FILE:
            return TransportFault::torn;
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return began ? TransportFault::torn : TransportFault::reset;
        case CURLE_WRITE_ERROR:
            return own_fault;
        default:
            return TransportFault::protocol;
    }
}

}  // namespace dln::http
