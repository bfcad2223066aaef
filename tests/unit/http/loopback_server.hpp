#pragma once
// An HTTP/1.1 server on this machine for tests, at the level of bytes: a handler may answer well, or say
// anything else and stop where it likes. A thread a connection.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace dln::http {

struct SeenRequest {
    int number = 0;      ///< of all requests to this server, from 0
    int connection = 0;  ///< of all connections
    std::string head;    ///< request line and header lines
    std::string body;
};

class Wire {
  public:
    Wire(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
    /// False when the client has gone.
    bool send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    void answer(int status, std::string_view body, std::string_view lines = "") const {
        std::string text = "HTTP/1.1 " + std::to_string(status) +
                           " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
        text += lines;
        text += "\r\n";
        text += body;
        send(text);
    }
    /// Waits, but not for a server that is being stopped.
    void sleep(std::chrono::milliseconds time) const {
        const auto end = std::chrono::steady_clock::now() + time;
        while (!stopping_ && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }
    /// Ends the connection with a TCP reset.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        closed_ = true;
    }
    void close() { closed_ = true; }
    [[nodiscard]] bool is_closed() const { return closed_; }
    [[nodiscard]] bool is_stopping() const { return stopping_; }

  private:
    int fd_;
    const std::atomic<bool>& stopping_;
    bool closed_ = false;
};

class LoopbackServer {
  public:
    using Handler = std::function<void(const SeenRequest&, Wire&)>;
    static constexpr const char* kIpv6 = "::1";  ///< in place of a path
    explicit LoopbackServer(Handler handler, std::string unix_path = "")
        : handler_(std::move(handler)), unix_path_(std::move(unix_path)) {
        start();
    }
    ~LoopbackServer() { stop(); }
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;

    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] int requests() const { return requests_; }
    [[nodiscard]] std::vector<SeenRequest> seen() {
        const std::scoped_lock lock(mutex_);
        return seen_;
    }

    /// Like a server that dies: connections end, new ones are refused.
    void stop() {
        stopping_ = true;
        if (acceptor_.joinable()) {
            acceptor_.join();
        }
        if (listener_ >= 0) {
            ::close(std::exchange(listener_, -1));
        }
        {
            const std::scoped_lock lock(mutex_);
            for (const auto& [fd, unused] : open_) {
                ::shutdown(fd, SHUT_RDWR);
            }
        }
        for (auto& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }

    /// Listens (again, at the same port).
    void start() {
        stopping_ = false;
        sockaddr_in in{};
        sockaddr_in6 in6{};
        sockaddr_un un{};
        const sockaddr* address = nullptr;
        socklen_t size = 0;
        if (unix_path_.empty()) {
            in.sin_family = AF_INET;
            in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            in.sin_port = htons(static_cast<std::uint16_t>(port_));
            address = reinterpret_cast<const sockaddr*>(&in);
            size = sizeof in;
        } else if (unix_path_ == kIpv6) {
            in6.sin6_family = AF_INET6;
            in6.sin6_addr = in6addr_loopback;
            in6.sin6_port = htons(static_cast<std::uint16_t>(port_));
            address = reinterpret_cast<const sockaddr*>(&in6);
            size = sizeof in6;
        } else {
            un.sun_family = AF_UNIX;
            unix_path_.copy(un.sun_path, sizeof un.sun_path - 1);
            address = reinterpret_cast<const sockaddr*>(&un);
            size = sizeof un;
            ::unlink(unix_path_.c_str());
        }
        listener_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(listener_, address, size) != 0 || ::listen(listener_, 128) != 0) {
            throw std::runtime_error(std::string("loopback server: ") + std::strerror(errno));
        }
        if (unix_path_.empty()) {
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&in), &size);
            port_ = ntohs(in.sin_port);
        } else if (unix_path_ == kIpv6) {
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&in6), &size);
            port_ = ntohs(in6.sin6_port);
        }
        acceptor_ = std::thread([this] { accept_all(); });
    }

  private:
    void accept_all() {
        while (!stopping_) {
            pollfd waiting{listener_, POLLIN, 0};
            if (::poll(&waiting, 1, 5) <= 0) {
                continue;
            }
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) {
                continue;
            }
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            const int connection = connections_++;
            const std::scoped_lock lock(mutex_);
            open_[fd] = true;
            threads_.emplace_back([this, fd, connection] { serve(fd, connection); });
        }
    }

    void serve(int fd, int connection) {
        Wire wire(fd, stopping_);
        std::string buffer;
        while (!stopping_ && !wire.is_closed()) {
            SeenRequest request;
            if (!read_request(fd, buffer, request)) {
                break;
            }
            request.connection = connection;
            request.number = requests_++;
            {
                const std::scoped_lock lock(mutex_);
                seen_.push_back(request);
            }
            handler_(request, wire);
        }
        const std::scoped_lock lock(mutex_);
        open_.erase(fd);
        ::close(fd);
    }

    static bool read_request(int fd, std::string& buffer, SeenRequest& request) {
        std::size_t needed = 0;
        while (true) {
            const auto end = buffer.find("\r\n\r\n");
            if (end != std::string::npos && needed == 0) {
                request.head = buffer.substr(0, end + 4);
                const auto at = request.head.find("Content-Length: ");
                const auto length =
                    at == std::string::npos ? 0 : std::stoul(request.head.substr(at + 16));
                needed = end + 4 + length;
            }
            if (needed != 0 && buffer.size() >= needed) {
                request.body = buffer.substr(request.head.size(), needed - request.head.size());
                buffer.erase(0, needed);
                return true;
            }
            char block[65536];
            const auto got = ::recv(fd, block, sizeof block, 0);
            if (got <= 0) {
                return false;
            }
            buffer.append(block, static_cast<std::size_t>(got));
        }
    }

    Handler handler_;
    std::string unix_path_;
    int port_ = 0;
    int listener_ = -1;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::atomic<int> requests_{0};
    std::thread acceptor_;
    std::mutex mutex_;
    std::map<int, bool> open_;
    std::vector<std::thread> threads_;
    std::vector<SeenRequest> seen_;
};

}  // namespace dln::http
