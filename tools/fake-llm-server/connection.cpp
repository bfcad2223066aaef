#include "connection.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace fake_llm {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

constexpr std::uint64_t kMostRequestBytes = 256U << 20U;
constexpr std::size_t kReadBytes = 8U << 10U;
constexpr std::size_t kMostReadBytes = 1U << 20U;
constexpr std::size_t kPaddingBytes = 256U << 10U;
constexpr std::chrono::milliseconds kBeforeReset{20};  // so that the client sees what came before

const std::string& spaces() {
    static const std::string text(kPaddingBytes, ' ');
    return text;
}

std::chrono::microseconds pace_of(const HttpReply& reply) {
    return std::chrono::microseconds(static_cast<std::int64_t>(reply.pace_ms * 1000.0));
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Handler& handler)
    : socket_(std::move(socket)), handler_(handler), timer_(socket_.get_executor()) {
    Error ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

Connection::~Connection() { handler_.on_closed(*this); }

void Connection::read() {
    parser_.emplace();
    parser_->eager(true);
    parser_->body_limit(kMostRequestBytes);
    continue_sent_ = false;
    parse();
}

void Connection::parse() {
    if (buffer_.size() > 0) {
        Error error;
        buffer_.consume(parser_->put(buffer_.data(), error));
        if (error && error != http::error::need_more) {
            refuse_malformed();
            return;
        }
    }
    if (parser_->is_done()) {
        keep_alive_ = parser_->get().keep_alive();
        waiting_ = true;
        handler_.on_request(shared_from_this(), parser_->get());
        return;
    }
    if (parser_->is_header_done() && !continue_sent_ &&
        parser_->get()[http::field::expect] == "100-continue") {
        send_continue();
        return;
    }
    const std::uint64_t left =
        parser_->is_header_done() ? parser_->content_length_remaining().value_or(0) : 0;
    const auto wanted = std::clamp<std::uint64_t>(left, kReadBytes, kMostReadBytes);
    socket_.async_read_some(buffer_.prepare(wanted),
                            [self = shared_from_this()](const Error& error, std::size_t bytes) {
                                if (!error) {
                                    self->buffer_.commit(bytes);
                                    self->parse();
                                }
                            });
}

void Connection::send_continue() {
    continue_sent_ = true;
    static const std::string text = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(text),
                      [self = shared_from_this()](const Error& error, std::size_t) {
                          if (!error) {
                              self->parse();
                          }
                      });
}

void Connection::refuse_malformed() {
    in_hand = {};
    keep_alive_ = false;
    reply({.status = 400, .content_type = "text/plain", .body = "Invalid HTTP request received."});
}

void Connection::reply(HttpReply reply) {
    waiting_ = false;
    reply_ = std::move(reply);
    head_ = reply_head(reply_, keep_alive_);
    switch (reply_.delivery) {
        case Delivery::whole:
        case Delivery::truncated:
        case Delivery::close_after:
            write_whole();
            break;
        case Delivery::padded:
            asio::async_write(socket_, asio::buffer(head_),
                              [self = shared_from_this()](const Error& error, std::size_t) {
                                  if (!error) {
                                      self->write_padding();
                                  }
                              });
            break;
        case Delivery::slow:
            head_ += reply_.body;
            write_bytes(0);
            break;
        case Delivery::endless:
            head_ += fmt::format("{:x}\r\n{}\r\n", reply_.body.size(), reply_.body);
            write_chunk();
            break;
        case Delivery::stall:
            watch();
            break;
        case Delivery::reset:
            linger_and_reset();
            break;
        case Delivery::reset_middle:
            write_half();
            break;
    }
}

void Connection::write_whole() {
    const bool close_now = !keep_alive_ || reply_.delivery != Delivery::whole;
    const std::array<asio::const_buffer, 2> parts{asio::buffer(head_), asio::buffer(reply_.body)};
    asio::async_write(socket_, parts,
                      [self = shared_from_this(), close_now](const Error& error, std::size_t) {
                          self->after_write(close_now || error);
                      });
}

void Connection::after_write(bool close_now) {
    if (close_now) {
        close();
    } else {
        read();
    }
}

void Connection::write_padding() {
    if (reply_.padding == 0) {
        head_.clear();
        reply_.delivery = Delivery::whole;
        write_whole();
        return;
    }
    const auto bytes = std::min<std::uint64_t>(reply_.padding, kPaddingBytes);
    reply_.padding -= bytes;
    asio::async_write(socket_, asio::buffer(spaces(), bytes),
                      [self = shared_from_this()](const Error& error, std::size_t) {
                          if (!error) {
                              self->write_padding();
                          }
                      });
}

void Connection::write_bytes(std::size_t at) {
    if (at == head_.size()) {
        after_write(!keep_alive_);
        return;
    }
    asio::async_write(socket_, asio::buffer(head_.data() + at, 1),
                      [self = shared_from_this(), at](const Error& error, std::size_t) {
                          if (error) {
                              return;
                          }
                          self->timer_.expires_after(pace_of(self->reply_));
                          self->timer_.async_wait([self, at](const Error& cancelled) {
                              if (!cancelled) {
                                  self->write_bytes(at + 1);
                              }
                          });
                      });
}

void Connection::write_chunk() {
    asio::async_write(socket_, asio::buffer(head_),
                      [self = shared_from_this()](const Error& error, std::size_t) {
                          if (error) {
                              return;
                          }
                          static const std::string chunk = fmt::format("400\r\n{:1024}\r\n", "");
                          self->head_ = chunk;
                          self->timer_.expires_after(pace_of(self->reply_));
                          self->timer_.async_wait([self](const Error& cancelled) {
                              if (!cancelled) {
                                  self->write_chunk();
                              }
                          });
                      });
}

void Connection::write_half() {
    head_ += reply_.body.substr(0, reply_.body.size() / 2);
    asio::async_write(
        socket_, asio::buffer(head_), [self = shared_from_this()](const Error& error, std::size_t) {
            if (error) {
                return;
            }
            self->timer_.expires_after(kBeforeReset);
            self->timer_.async_wait([self](const Error&) { self->linger_and_reset(); });
        });
}

void Connection::watch() {
    socket_.async_wait(asio::ip::tcp::socket::wait_read,
                       [self = shared_from_this()](const Error& error) {
                           if (error) {
                               return;
                           }
                           char byte = 0;
                           Error peeked;
                           self->socket_.non_blocking(true, peeked);
                           const std::size_t bytes = self->socket_.receive(
                               asio::buffer(&byte, 1), asio::socket_base::message_peek, peeked);
                           // More bytes are the next request: they wait.
                           if (bytes == 0 && peeked != asio::error::would_block) {
                               if (self->waiting_) {
                                   self->waiting_ = false;
                                   self->handler_.on_abandoned(*self);
                               }
                               self->close();
                           }
                       });
}

void Connection::reset() {
    const Self self = shared_from_this();  // the work queue may have held the last one
    if (waiting_) {
        waiting_ = false;
        handler_.on_abandoned(*this);
    }
    linger_and_reset();
}

void Connection::linger_and_reset() {
    Error ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    close();
}

void Connection::close() {
    Error ignored;
    timer_.cancel(ignored);
    socket_.close(ignored);
}

}  // namespace fake_llm
