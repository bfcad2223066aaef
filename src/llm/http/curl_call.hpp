#pragma once
// libcurl's handles, wrapped once: checked calls, and the handle of a single call with what it reads of a
// reply. Private to transport.cpp and curl_call.cpp.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <curl/curl.h>

#include "dln/error.hpp"

#include "llm/http/transport.hpp"

namespace dln::http {

inline void check(CURLcode code, const char* what) {
    if (code != CURLE_OK) {
        throw InternalError(fmt::format("libcurl: {}: {}", what, curl_easy_strerror(code)));
    }
}
inline void check(CURLMcode code, const char* what) {
    if (code != CURLM_OK) {
        throw InternalError(fmt::format("libcurl: {}: {}", what, curl_multi_strerror(code)));
    }
}
template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
    check(curl_easy_setopt(easy, option, value), "curl_easy_setopt");
}
template <typename Value>
Value get(CURL* easy, CURLINFO info, Value value = {}) {
    curl_easy_getinfo(easy, info, &value);
    return value;
}

/// libcurl's global state; counted by libcurl itself.
struct Library {
    Library() { check(curl_global_init(CURL_GLOBAL_DEFAULT), "curl_global_init"); }
    ~Library() { curl_global_cleanup(); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
};

/// Header lines of all calls of an endpoint; wiped at the end, as one of them holds the key.
struct HeaderLines {
    curl_slist* list = nullptr;
    HeaderLines() = default;
    HeaderLines(const HeaderLines&) = delete;
    HeaderLines& operator=(const HeaderLines&) = delete;
    HeaderLines(HeaderLines&& other) noexcept : list(std::exchange(other.list, nullptr)) {}
    ~HeaderLines() {
        for (auto* line = list; line != nullptr; line = line->next) {
            explicit_bzero(line->data, std::strlen(line->data));
        }
        curl_slist_free_all(list);
    }
    void add(const char* line) {
        auto* longer = curl_slist_append(list, line);
        DLN_ASSERT(longer != nullptr, "no memory for a header line");
        list = longer;
    }
};

/// One libcurl handle, used for one call after another of the same endpoint.
struct CurlCall {
    CURL* easy = nullptr;
    std::size_t endpoint = 0;
    const TransportOptions* options = nullptr;
    std::size_t* bytes_together = nullptr;  ///< of the bodies of all calls in flight
    std::shared_ptr<const std::string> body;
    std::string url;
    bool posts = false;
    TransportReply reply;
    std::size_t header_bytes = 0;
    std::size_t body_bytes = 0;
    int times_sent = 0;
    bool encoded = false;
    bool began = false;  ///< a byte of the reply has come
    std::chrono::steady_clock::time_point sent;
    std::chrono::steady_clock::time_point last_byte;
    TransportFault own_fault = TransportFault::none;  ///< why a callback ended the call
    std::array<char, CURL_ERROR_SIZE> error{};

    CurlCall() = default;
    CurlCall(const CurlCall&) = delete;
    CurlCall& operator=(const CurlCall&) = delete;
    ~CurlCall() { curl_easy_cleanup(easy); }

    /// Forgets the call before.
    void start() {
        header_bytes = 0;
        times_sent = 0;
        encoded = began = false;
        own_fault = TransportFault::none;
        error[0] = '\0';
        sent = std::chrono::steady_clock::now();
    }
    [[nodiscard]] bool refuse(TransportFault fault) {
        own_fault = fault;
        return false;
    }
    void touch() {
        began = true;
        last_byte = std::chrono::steady_clock::now();
    }
    [[nodiscard]] bool take_header(std::string_view line);
    [[nodiscard]] bool take_body(std::string_view bytes);
    /// libcurl's callbacks; returning less than the size ends the call.
    static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* call);
    static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* call);
    /// Before each sending. libcurl sends a call again by itself when a kept connection turns out dead.
    static int on_sending(void* call, char*, char*, int, int);
    /// What libcurl's code means, given how far the reply had come.
    [[nodiscard]] TransportFault fault_of(CURLcode code) const;
};

}  // namespace dln::http
