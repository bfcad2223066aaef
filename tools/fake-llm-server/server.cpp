#include "server.hpp"

#include <cmath>
#include <csignal>
#include <cstdlib>

#include <xxhash.h>

#include "dln/error.hpp"

namespace fake_llm {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;
using asio::ip::tcp;

constexpr int kBacklog = 4096;

std::string_view view_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::uint64_t hash_of(std::string_view path, std::string_view body) {
    return XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(path.data(), path.size()));
}

std::string read_key(const std::string& variable) {
    if (variable.empty()) {
        return "";
    }
    const char* const key = std::getenv(variable.c_str());
    if (key == nullptr || *key == '\0') {
        throw dln::UsageError(fmt::format(
            "--api-key-env {}: this environment variable is empty. Expected the key", variable));
    }
    return key;
}

HttpReply json_reply(int status, const Json& body) { return plain_reply({status, body, {}}); }

}  // namespace

Server::Server(const Options& options)
    : options_(options),
      key_(read_key(options.api_key_env)),
      service_(options),
      signals_(context_, SIGTERM, SIGINT),
      port_(options.port),
      stats_(options.slots),
      limits_(options.limits),
      queue_(context_, options.slots, [this](int busy) { stats_.set_busy(busy, now()); }) {
    set_faults(options.faults);
    if (!options.log_path.empty()) {
        log_.open(options.log_path, std::ios::trunc);
        if (!log_) {
            throw dln::UsageError(fmt::format("--log {}: cannot be written", options.log_path));
        }
    }
    try {
        listen();
    } catch (const boost::system::system_error& error) {
        throw dln::BackendError(fmt::format("--port {}: cannot listen on 127.0.0.1: {}", port_,
                                            error.code().message()));
    }
}

void Server::run() {
    const auto stop = [this](const Error& error) {
        if (!error) {
            context_.stop();
        }
    };
    lifetime_.expires_after(std::chrono::seconds(options_.lifetime_s));
    lifetime_.async_wait(stop);
    signals_.async_wait([stop](const Error& error, int) { stop(error); });
    context_.run();
    acceptor_.close();
    reset_connections();
    context_.restart();
    context_.poll();  // lets go of what waited
}

void Server::reset_connections() {
    const std::vector<Connection*> open(connections_.begin(), connections_.end());
    for (Connection* const connection : open) {
        connection->reset();
    }
}

Seconds Server::now() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

// Connections -------------------------------------------------------------------------------------

void Server::listen() {
    const tcp::endpoint place(asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port_));
    acceptor_.open(place.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    acceptor_.bind(place);
    acceptor_.listen(kBacklog);
    port_ = acceptor_.local_endpoint().port();
    accept();
}

void Server::accept() {
    acceptor_.async_accept([this](const Error& error, tcp::socket socket) {
        if (!acceptor_.is_open()) {
            return;
        }
        if (!error) {
            const auto connection = std::make_shared<Connection>(
                std::move(socket), static_cast<Connection::Handler&>(*this));
            connections_.insert(connection.get());
            stats_.connected();
            connection->read();
        }
        accept();
    });
}

void Server::on_closed(Connection& connection) {
    connections_.erase(&connection);
    stats_.disconnected();
}

void Server::on_abandoned(Connection& connection) {
    if (connection.in_hand.is_work) {
        queue_.cancel(connection.in_hand.ticket);
        stats_.abandoned(now());
        log("abandon", connection.in_hand, {});
    }
}

void Server::stop_listening(std::chrono::milliseconds time) {
    Error ignored;
    acceptor_.close(ignored);
    reset_connections();
    revival_.expires_after(time);
    revival_.async_wait([this](const Error& error) {
        if (!error) {
            listen();
        }
    });
}

// Requests ----------------------------------------------------------------------------------------

void Server::on_request(const std::shared_ptr<Connection>& connection,
                        const Connection::Request& request) {
    const std::string_view target = view_of(request.target());
    const std::string_view path = target.substr(0, target.find('?'));
    const Call call{.method = view_of(request.method_string()),
                    .path = path,
                    .body = request.body(),
                    .hash = hash_of(path, request.body())};
    connection->in_hand = {};
    if (std::optional<HttpReply> reply = control(call)) {
        connection->reply(std::move(*reply));
        return;
    }
    const bool is_work = Service::is_work(call.method, call.path);
    if (is_work) {
        connection->in_hand = {.is_work = true, .id = ++last_id_};
        stats_.arrived(call.hash, request.count(http::field::authorization) > 0, now());
        log("arrive", connection->in_hand,
            {{"path", call.path},
             {"request", fmt::format("{:016x}", call.hash)},
             {"body", request.body()}});
    } else {
        stats_.looked_up();
    }
    if (!is_authorized(request)) {
        HttpReply reply = json_reply(401, {{"error", "Unauthorized"}});
        if (is_work) {
            reply_to_work(*connection, std::move(reply));
        } else {
            connection->reply(std::move(reply));
        }
    } else if (is_work) {
        do_work(connection, call, target);
    } else {
        connection->reply(plain_reply(service_.answer(call)));
    }
}

bool Server::is_authorized(const Connection::Request& request) const {
    return key_.empty() || view_of(request[http::field::authorization]) == "Bearer " + key_;
}

std::optional<Fault> Server::next_fault(const Call& call) {
    if (faults_.empty()) {
        return std::nullopt;
    }
    std::optional<Fault> fault =
        faults_.choose(call.hash, seen_[call.hash]++, ++request_number_, call.body);
    if (fault) {
        stats_.fault(fault_name(fault->kind));
    }
    return fault;
}

void Server::do_work(const std::shared_ptr<Connection>& connection,
                     Call call,
                     std::string_view target) {
    const std::optional<Fault> fault = next_fault(call);
    if (fault && fault->kind == FaultKind::dead) {
        Error ignored;
        acceptor_.close(ignored);  // before the client hears of it
        reply_to_work(*connection, refusal_of(*fault, target));
        const auto ms = static_cast<std::int64_t>(parameter_number(*fault, 1000.0));
        stop_listening(std::chrono::milliseconds(ms));
        return;
    }
    if (fault && answers_at_once(fault->kind)) {
        reply_to_work(*connection, refusal_of(*fault, target));
        return;
    }
    const auto is = [&](FaultKind kind) { return fault && fault->kind == kind; };
    call.wrong_tokens = is(FaultKind::wrong_tokens);
    call.ignored_echo = is(FaultKind::ignored_echo);
    call.shifted = is(FaultKind::shifted);
    Answer answer = service_.answer(call);
    const Work& work = answer.work;
    if (const auto wait = limits_.refuse(work.prompt_tokens + work.completion_tokens, now())) {
        const auto ms = static_cast<std::int64_t>(std::ceil(*wait * 1000.0));
        reply_to_work(*connection,
                      limit_reply(options_.limits.retry_after, std::chrono::milliseconds(ms)));
        return;
    }
    if (answer.status != 200) {
        reply_to_work(*connection, plain_reply(answer));
        return;
    }
    stats_.accepted(work.prompt_hashes, work.prompt_tokens, work.completion_tokens);
    const auto time = service_time(options_.latency, call.hash, work.prompt_hashes.size());
    HttpReply reply = fault ? spoiled(*fault, std::move(answer)) : plain_reply(std::move(answer));
    // A shared pointer, as a std::function must be copyable and a reply may be large.
    auto shared = std::make_shared<HttpReply>(std::move(reply));
    connection->in_hand.ticket = queue_.submit(time, [this, connection, shared] {
        connection->in_hand.ticket = 0;
        reply_to_work(*connection, std::move(*shared));
    });
    if (connection->is_waiting()) {
        connection->watch();
    }
}

void Server::reply_to_work(Connection& connection, HttpReply reply) {
    if (reply.delivery == Delivery::stall) {
        connection.watch();  // in flight until the client has enough
        return;
    }
    const bool no_status = reply.delivery == Delivery::reset;
    const int status = no_status ? 0 : reply.status;
    stats_.departed(status, now());
    log("depart", connection.in_hand, {{"status", status}});
    connection.reply(std::move(reply));
}

// Control -----------------------------------------------------------------------------------------

std::optional<HttpReply> Server::control(const Call& call) {
    const bool post = call.method == "POST";
    if (call.path == "/stats" && !post) {
        return json_reply(200, stats_.report(now()));
    }
    if (call.path == "/stats/reset" && post) {
        stats_.reset(now());
        return json_reply(200, Json::object());
    }
    if (call.path == "/faults" && post) {
        return change_faults(call.body);
    }
    if (call.path == "/shutdown" && post) {
        // Time for the reply to leave.
        lifetime_.expires_after(std::chrono::milliseconds(20));
        lifetime_.async_wait([this](const Error& error) {
            if (!error) {
                context_.stop();
            }
        });
        return json_reply(200, Json::object());
    }
    return std::nullopt;
}

HttpReply Server::change_faults(std::string_view body) {
    try {
        const Json change = Json::parse(body);
        if (change.contains("faults")) {
            set_faults(change["faults"].get<std::vector<std::string>>());
        }
        if (change.contains("dead_for_ms")) {
            const std::chrono::milliseconds time(change["dead_for_ms"].get<int>());
            // After the reply.
            revival_.expires_after(std::chrono::milliseconds(20));
            revival_.async_wait([this, time](const Error& error) {
                if (!error) {
                    stop_listening(time);
                }
            });
        }
        return json_reply(200, Json::object());
    } catch (const std::exception& error) {
        return json_reply(400, {{"error", error.what()}});
    }
}

void Server::set_faults(const std::vector<std::string>& rules) {
    std::vector<FaultRule> parsed;
    for (const std::string& rule : rules) {
        parsed.push_back(parse_fault(rule));
        check_parameter(parsed.back().fault);
    }
    faults_ = FaultPlan(std::move(parsed), options_.seed);
    seen_.clear();
    request_number_ = 0;
}

void Server::log(const char* event, const Connection::InHand& request, nlohmann::json fields) {
    if (log_.is_open()) {
        fields["event"] = event;
        fields["t"] = now();
        fields["id"] = request.id;
        log_ << fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n'
             << std::flush;
    }
}

}  // namespace fake_llm
