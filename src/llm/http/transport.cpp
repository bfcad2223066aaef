#include "llm/http/transport.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/curl_call.hpp"

namespace dln::http {

namespace {
using Clock = std::chrono::steady_clock;
// Shorter keys ("EMPTY", "none") guard nothing and may be words of an answer.
constexpr std::size_t kRealKeyBytes = 16;

struct Target {
    EndpointOptions options;
    std::string url;
    HeaderLines post_lines;
    HeaderLines get_lines;
    std::vector<CurlCall*> idle;
};

}  // namespace

struct Transport::Impl {
    Library library;
    TransportOptions options;
    CURLM* multi = nullptr;
    int epoll = -1;
    std::optional<Clock::time_point> timer;  ///< when libcurl wants to be called without a socket
    std::vector<Target> endpoints;
    std::vector<std::unique_ptr<CurlCall>> calls;
    std::unordered_map<std::uint64_t, CurlCall*> busy;
    std::vector<TransportReply> ended;
    std::size_t bytes_together = 0;  ///< of the bodies of all calls in flight

    explicit Impl(const TransportOptions& wanted);
    ~Impl();
    CurlCall& idle_call(std::size_t endpoint);
    void prepare(CurlCall& call);
    void release(CurlCall& call);
    static int on_socket(CURL* easy, curl_socket_t fd, int what, void* impl, void* known);
    static int on_timer(CURLM* multi, long timeout_ms, void* impl);
    void act(curl_socket_t fd, int events);
    void act_on_timer();
    void wait(std::chrono::milliseconds timeout);
    void collect_ended();
    void collect(CurlCall& call, CURLcode code);
    void end(CurlCall& call, TransportFault fault, std::string_view detail);
    void end_stalled();
    [[nodiscard]] std::chrono::milliseconds until_due(std::chrono::milliseconds timeout) const;
    void hide_key(const CurlCall& call, TransportReply& reply) const;
};

Transport::Impl::Impl(const TransportOptions& wanted)
    : options(wanted), multi(curl_multi_init()), epoll(::epoll_create1(EPOLL_CLOEXEC)) {
    DLN_ASSERT(multi != nullptr && epoll >= 0, "no multi handle or epoll: {}",
               std::strerror(errno));
    const auto connections = static_cast<long>(options.most_connections);
    check(curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX), "multiplex");
    check(curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections), "connections");
    check(curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections), "kept connections");
    check(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket), "sockets");
    check(curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this), "sockets");
    check(curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer), "timer");
    check(curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this), "timer");
}

Transport::Impl::~Impl() {
    for (const auto& [id, call] : busy) {
        curl_multi_remove_handle(multi, call->easy);
    }
    calls.clear();
    curl_multi_cleanup(multi);
    ::close(epoll);
}

// What holds for all calls of a handle. Set once: a call then costs no more than its URL and body.
void Transport::Impl::prepare(CurlCall& call) {
    CURL* easy = call.easy;
    const Target& endpoint = endpoints[call.endpoint];
    set(easy, CURLOPT_PRIVATE, &call);
    set(easy, CURLOPT_ERRORBUFFER, call.error.data());
    set(easy, CURLOPT_HEADERFUNCTION, CurlCall::on_header);
    set(easy, CURLOPT_HEADERDATA, &call);
    set(easy, CURLOPT_WRITEFUNCTION, CurlCall::on_body);
    set(easy, CURLOPT_WRITEDATA, &call);
    set(easy, CURLOPT_PREREQFUNCTION, CurlCall::on_sending);
    set(easy, CURLOPT_PREREQDATA, &call);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_TCP_NODELAY, 1L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_deadline.count()));
    set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options.call_deadline.count()));
    set(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.most_bytes));
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy, CURLOPT_PIPEWAIT, endpoint.options.address.tls ? 1L : 0L);
    set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set(easy, CURLOPT_USERAGENT, "dln");
    // A proxy sees no header line of an encrypted call, and nothing of calls on this machine or with a key
    // in clear text.
    set(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    const bool shows_key = !endpoint.options.address.tls && !endpoint.options.key.empty();
    if (is_loopback(endpoint.options.address) || !endpoint.options.unix_socket.empty() ||
        shows_key) {
        set(easy, CURLOPT_PROXY, "");
    }
    if (!endpoint.options.unix_socket.empty()) {
        set(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint.options.unix_socket.c_str());
    }
    if (!endpoint.options.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, endpoint.options.ca_file.c_str());
        set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
    }
    set(easy, CURLOPT_HTTPGET, 1L);
    set(easy, CURLOPT_HTTPHEADER, endpoint.get_lines.list);
}

CurlCall& Transport::Impl::idle_call(std::size_t endpoint) {
    auto& idle = endpoints[endpoint].idle;
    if (idle.empty()) {
        auto call = std::make_unique<CurlCall>();
        call->easy = curl_easy_init();
        DLN_ASSERT(call->easy != nullptr, "libcurl gives no easy handle");
        call->endpoint = endpoint;
        call->options = &options;
        call->bytes_together = &bytes_together;
        prepare(*call);
        idle.push_back(call.get());
        calls.push_back(std::move(call));
    }
    CurlCall& call = *idle.back();
    idle.pop_back();
    return call;
}

void Transport::Impl::release(CurlCall& call) {
    curl_multi_remove_handle(multi, call.easy);
    busy.erase(call.reply.id);
    bytes_together -= std::exchange(call.body_bytes, 0);
    call.body.reset();
    call.reply = {};
    endpoints[call.endpoint].idle.push_back(&call);
}

// curl_multi_poll and curl_multi_perform look at every socket each time: with 64 calls in flight that is
// most of what a call costs. Here libcurl says which sockets it waits for, and epoll which of them to serve.
int Transport::Impl::on_socket(
    CURL* /*easy*/, curl_socket_t fd, int what, void* impl, void* known) {
    auto* self = static_cast<Impl*>(impl);
    if (what == CURL_POLL_REMOVE) {
        ::epoll_ctl(self->epoll, EPOLL_CTL_DEL, fd, nullptr);
        return 0;
    }
    epoll_event event{};
    event.events = ((what & CURL_POLL_IN) != 0 ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                   ((what & CURL_POLL_OUT) != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
    event.data.fd = fd;
    const int first = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(self->epoll, first, fd, &event) != 0) {
        // The number was closed and given out again, seen or unseen by libcurl.
        const int second = first == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (::epoll_ctl(self->epoll, second, fd, &event) != 0) {
            return -1;
        }
    }
    curl_multi_assign(self->multi, fd, self);
    return 0;
}

int Transport::Impl::on_timer(CURLM* /*multi*/, long timeout_ms, void* impl) {
    auto& timer = static_cast<Impl*>(impl)->timer;
    timer.reset();
    if (timeout_ms >= 0) {
        timer = Clock::now() + std::chrono::milliseconds(timeout_ms);
    }
    return 0;
}

void Transport::Impl::act(curl_socket_t fd, int events) {
    int running = 0;
    check(curl_multi_socket_action(multi, fd, events, &running), "curl_multi_socket_action");
}

void Transport::Impl::act_on_timer() {
    if (timer && *timer <= Clock::now()) {
        timer.reset();
        act(CURL_SOCKET_TIMEOUT, 0);
        collect_ended();
    }
}

void Transport::Impl::wait(std::chrono::milliseconds timeout) {
    std::array<epoll_event, 64> events;
    const auto limit = std::min<std::int64_t>(timeout.count(), 1'000'000'000);
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(limit));
    for (int i = 0; i < count; ++i) {  // none on EINTR
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        act(event.data.fd,
            ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0));
    }
    collect_ended();
}

void Transport::Impl::collect_ended() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
        if (message->msg == CURLMSG_DONE) {
            collect(*static_cast<CurlCall*>(get<void*>(message->easy_handle, CURLINFO_PRIVATE)),
                    message->data.result);
        }
    }
}

void Transport::Impl::collect(CurlCall& call, CURLcode code) {
    auto fault = call.fault_of(code);
    std::string_view detail = call.error[0] != '\0' ? call.error.data() : curl_easy_strerror(code);
    if (fault == TransportFault::none && call.encoded) {
        fault = TransportFault::protocol;
    }
    if (fault == TransportFault::protocol && call.encoded) {
        detail = "the reply has a Content-Encoding or Transfer-Encoding that was not asked for";
    } else if (code == CURLE_WRITE_ERROR && fault == TransportFault::too_large) {
        detail = call.header_bytes > options.most_header_bytes ? "more header lines than allowed"
                                                               : "more bytes than allowed";
    }
    end(call, fault, detail);
}

void Transport::Impl::end(CurlCall& call, TransportFault fault, std::string_view detail) {
    TransportReply& reply = call.reply;
    reply.fault = fault;
    reply.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - call.sent);
    reply.bytes = call.header_bytes + reply.body.size();
    reply.resent = std::max(call.times_sent - 1, 0);
    if (fault == TransportFault::none) {
        reply.status = static_cast<int>(get<long>(call.easy, CURLINFO_RESPONSE_CODE));
        hide_key(call, reply);
    } else {
        reply.body.clear();
        const Secret& key = endpoints[call.endpoint].options.key;
        reply.reason = printable(fmt::format("{}: {}", name_of(fault), redact(detail, key)), 300);
    }
    ended.push_back(std::exchange(reply, {}));
    reply.id = ended.back().id;
    release(call);
}

void Transport::Impl::hide_key(const CurlCall& call, TransportReply& reply) const {
    const Secret& key = endpoints[call.endpoint].options.key;
    reply.retry_after = redact(reply.retry_after, key);
    reply.content_type = redact(reply.content_type, key);
    if (reply.status != 200) {
        reply.body = redact(reply.body, key);
        reply.location = redact(reply.location, key);
    } else if (key.reveal().size() >= kRealKeyBytes) {
        for (auto at = reply.body.find(key.reveal()); at != std::string::npos;
             at = reply.body.find(key.reveal(), at)) {
            reply.body.replace(at, key.reveal().size(), "[key]");
        }
    }
}

// libcurl measures slow transfers in whole seconds and counts the silence before a reply; this does not.
void Transport::Impl::end_stalled() {
    const auto now = Clock::now();
    std::vector<CurlCall*> stalled;
    for (const auto& [id, call] : busy) {
        if (call->began && now - call->last_byte >= options.stall_deadline) {
            stalled.push_back(call);
        }
    }
    for (CurlCall* call : stalled) {
        end(*call, TransportFault::stall,
            fmt::format("no byte for {} ms in the middle of a reply",
                        options.stall_deadline.count()));
    }
}

std::chrono::milliseconds Transport::Impl::until_due(std::chrono::milliseconds timeout) const {
    const auto now = Clock::now();
    if (timer) {
        timeout = std::min(timeout, std::chrono::ceil<std::chrono::milliseconds>(*timer - now));
    }
    for (const auto& [id, call] : busy) {
        if (call->began) {
            timeout = std::min(timeout, std::chrono::ceil<std::chrono::milliseconds>(
                                            call->last_byte + options.stall_deadline - now));
        }
    }
    return std::max(timeout, std::chrono::milliseconds(0));
}

Transport::Transport(const TransportOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Transport::Transport(Transport&&) noexcept = default;
Transport& Transport::operator=(Transport&&) noexcept = default;
Transport::~Transport() = default;

std::size_t Transport::add_endpoint(EndpointOptions options, std::string_view place) {
    if (!options.key.empty() && options.unix_socket.empty() &&
        !key_may_travel(options.address, options.allow_insecure_key)) {
        throw UsageError(fmt::format(
            "{}: the API key would go in clear text to {}. Expected https://, or a host "
            "on this machine, or leave to do so (allow_insecure_key).",
            place, options.address.url()));
    }
    if (!options.ca_file.empty() && ::access(options.ca_file.c_str(), R_OK) != 0) {
        throw UsageError(fmt::format("{}: certificates {} cannot be read: {}.", place,
                                     printable(options.ca_file), std::strerror(errno)));
    }
    Target endpoint;
    endpoint.url = options.address.url();
    for (HeaderLines* lines : {&endpoint.post_lines, &endpoint.get_lines}) {
        lines->add("Accept: application/json");
        if (!options.key.empty()) {
            std::string line = "Authorization: Bearer ";
            line.reserve(line.size() + options.key.reveal().size());  // no copy is left behind
            line += options.key.reveal();
            lines->add(line.c_str());
            explicit_bzero(line.data(), line.size());
        }
    }
    endpoint.post_lines.add("Content-Type: application/json");
    endpoint.post_lines.add("Expect:");  // no round trip before long bodies
    endpoint.options = std::move(options);
    impl_->endpoints.push_back(std::move(endpoint));
    return impl_->endpoints.size() - 1;
}

void Transport::send(std::uint64_t id,
                     std::size_t endpoint,
                     std::string_view path,
                     std::shared_ptr<const std::string> body) {
    DLN_ASSERT(!impl_->busy.contains(id), "call {} is in flight already", id);
    CurlCall& call = impl_->idle_call(endpoint);
    const Target& target = impl_->endpoints[endpoint];
    if (call.url.size() != target.url.size() + path.size() || !call.url.ends_with(path)) {
        call.url = target.url;
        call.url += path;
        set(call.easy, CURLOPT_URL, call.url.c_str());
    }
    const bool posts = body && !body->empty();
    if (posts) {
        set(call.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
        set(call.easy, CURLOPT_POSTFIELDS, body->c_str());
    }
    if (posts != call.posts) {
        set(call.easy, posts ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
        set(call.easy, CURLOPT_HTTPHEADER, (posts ? target.post_lines : target.get_lines).list);
        call.posts = posts;
    }
    call.body = std::move(body);
    call.reply.id = id;
    call.start();
    impl_->busy.emplace(id, &call);
    check(curl_multi_add_handle(impl_->multi, call.easy), "curl_multi_add_handle");
}

void Transport::cancel(std::uint64_t id) {
    if (const auto found = impl_->busy.find(id); found != impl_->busy.end()) {
        impl_->release(*found->second);
    }
}

std::vector<TransportReply> Transport::poll(std::chrono::milliseconds timeout) {
    impl_->act_on_timer();  // begins what has been sent since the last time
    if (impl_->ended.empty()) {
        impl_->wait(impl_->until_due(timeout));
        impl_->act_on_timer();
        impl_->end_stalled();
    }
    return std::exchange(impl_->ended, {});
}

std::size_t Transport::in_flight() const noexcept { return impl_->busy.size(); }

std::string Transport::redacted(std::size_t endpoint, std::string_view text) const {
    return redact(text, impl_->endpoints[endpoint].options.key);
}

}  // namespace dln::http
