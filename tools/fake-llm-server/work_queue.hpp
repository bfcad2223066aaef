#pragma once
// The slots: each serves one request for its time, the others wait in the order of their arrival.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace fake_llm {

class WorkQueue {
  public:
    using Ticket = std::uint64_t;
    /// Without `slots` (0) nothing waits. `on_busy` is told how many slots are busy when that changes.
    WorkQueue(boost::asio::io_context& context, int slots, std::function<void(int)> on_busy);

    /// Calls `done` after `time` in a slot: at once, from inside this call, when that is none and a slot
    /// is free. Returns a ticket for `cancel`.
    Ticket submit(std::chrono::nanoseconds time, std::function<void()> done);
    /// Forgets a request, and frees its slot; no effect when it is done.
    void cancel(Ticket ticket);

  private:
    struct Job {
        Ticket ticket;
        std::chrono::nanoseconds time;
        std::function<void()> done;
    };
    void start(Job job);
    void finish(Ticket ticket);
    void fill_slots();

    boost::asio::io_context& context_;
    std::size_t slots_;
    std::function<void(int)> on_busy_;
    Ticket last_ticket_ = 0;
    std::deque<Job> waiting_;
    struct Running {
        Job job;
        std::unique_ptr<boost::asio::steady_timer> timer;
    };
    std::unordered_map<Ticket, Running> running_;
};

}  // namespace fake_llm
