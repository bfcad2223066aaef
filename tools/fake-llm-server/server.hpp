#pragma once
// The server: accepts connections, and takes each request through key, limits, faults and slots to its
// reply. One thread does everything.

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "connection.hpp"
#include "fault_effects.hpp"
#include "load.hpp"
#include "service.hpp"
#include "stats.hpp"
#include "work_queue.hpp"

namespace fake_llm {

class Server : private Connection::Handler {
  public:
    /// Listens. Throws dln::UsageError for what is wrong with the options, dln::BackendError when the port
    /// cannot be had. `options` must outlive the server.
    explicit Server(const Options& options);

    [[nodiscard]] int port() const { return port_; }
    /// Serves until the lifetime is over, SIGTERM or SIGINT comes, or a client posts /shutdown.
    void run();

  private:
    void on_request(const std::shared_ptr<Connection>& connection,
                    const Connection::Request& request) override;
    void on_abandoned(Connection& connection) override;
    void on_closed(Connection& connection) override;

    void listen();
    void reset_connections();
    void accept();
    [[nodiscard]] bool is_authorized(const Connection::Request& request) const;
    [[nodiscard]] std::optional<HttpReply> control(const Call& call);
    [[nodiscard]] HttpReply change_faults(std::string_view body);
    void set_faults(const std::vector<std::string>& rules);
    void do_work(const std::shared_ptr<Connection>& connection, Call call, std::string_view target);
    void reply_to_work(Connection& connection, HttpReply reply);
    [[nodiscard]] std::optional<Fault> next_fault(const Call& call);
    void stop_listening(std::chrono::milliseconds time);
    void log(const char* event, const Connection::InHand& request, nlohmann::json fields);
    [[nodiscard]] Seconds now() const;

    const Options& options_;
    std::string key_;
    Service service_;
    boost::asio::io_context context_{1};
    boost::asio::ip::tcp::acceptor acceptor_{context_};
    boost::asio::steady_timer lifetime_{context_};
    boost::asio::steady_timer revival_{context_};
    boost::asio::signal_set signals_;
    int port_ = 0;

    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    Stats stats_;
    RateLimits limits_;
    WorkQueue queue_;
    FaultPlan faults_;
    std::unordered_map<std::uint64_t, std::uint64_t> seen_;  // requests, since the faults were set
    std::uint64_t request_number_ = 0;                       // likewise
    std::uint64_t last_id_ = 0;
    std::unordered_set<Connection*> connections_;
    std::ofstream log_;
};

}  // namespace fake_llm
