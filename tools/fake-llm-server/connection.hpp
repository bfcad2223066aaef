#pragma once
// One client's connection: reads requests, one at a time, and delivers replies as well or as badly as asked.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "http_reply.hpp"

namespace fake_llm {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;

    /// What the server does for its connections.
    class Handler {
      public:
        virtual ~Handler() = default;
        /// A complete request; `Connection::reply` may be called from inside or at any time later.
        virtual void on_request(const std::shared_ptr<Connection>& connection,
                                const Request& request) = 0;
        /// The client closed while its request was waiting for a reply.
        virtual void on_abandoned(Connection& connection) = 0;
        virtual void on_closed(Connection& connection) = 0;
    };

    Connection(boost::asio::ip::tcp::socket socket, Handler& handler);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void read();
    /// Sends a reply to the request in hand. Pre: it was not replied to.
    void reply(HttpReply reply);
    /// To be called when a reply will take its time: notices when the client goes away.
    void watch();
    [[nodiscard]] bool is_waiting() const { return waiting_; }
    /// Ends the connection with an RST.
    void reset();

    /// What the server knows about the request in hand.
    struct InHand {
        bool is_work = false;
        std::uint64_t id = 0;
        std::uint64_t ticket = 0;  ///< in the work queue, or 0
    };
    InHand in_hand;

  private:
    using Self = std::shared_ptr<Connection>;
    void parse();
    void send_continue();
    void refuse_malformed();
    void write_whole();
    void write_padding();
    void write_bytes(std::size_t at);
    void write_chunk();
    void write_half();
    void after_write(bool close_now);
    void linger_and_reset();
    void close();

    boost::asio::ip::tcp::socket socket_;
    Handler& handler_;
    boost::asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
    bool continue_sent_ = false;
    bool keep_alive_ = true;
    bool waiting_ = false;  // for the reply to the request in hand
    HttpReply reply_;
    std::string head_;
};

}  // namespace fake_llm
