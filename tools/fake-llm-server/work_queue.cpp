#include "work_queue.hpp"

#include <algorithm>
#include <limits>

namespace fake_llm {

WorkQueue::WorkQueue(boost::asio::io_context& context, int slots, std::function<void(int)> on_busy)
    : context_(context),
      slots_(slots > 0 ? static_cast<std::size_t>(slots) : std::numeric_limits<std::size_t>::max()),
      on_busy_(std::move(on_busy)) {}

WorkQueue::Ticket WorkQueue::submit(std::chrono::nanoseconds time, std::function<void()> done) {
    Job job{++last_ticket_, time, std::move(done)};
    if (running_.size() >= slots_) {
        waiting_.push_back(std::move(job));
    } else if (time.count() <= 0) {
        job.done();
    } else {
        start(std::move(job));
    }
    return last_ticket_;
}

void WorkQueue::start(Job job) {
    const Ticket ticket = job.ticket;
    auto timer = std::make_unique<boost::asio::steady_timer>(context_, job.time);
    timer->async_wait([this, ticket](const boost::system::error_code& error) {
        if (!error) {
            finish(ticket);
        }
    });
    running_.emplace(ticket, Running{std::move(job), std::move(timer)});
    on_busy_(static_cast<int>(running_.size()));
}

void WorkQueue::finish(Ticket ticket) {
    const auto found = running_.find(ticket);
    if (found == running_.end()) {  // cancelled when its timer had rung already
        return;
    }
    const std::function<void()> done = std::move(found->second.job.done);
    running_.erase(found);
    fill_slots();
    done();
}

void WorkQueue::cancel(Ticket ticket) {
    if (running_.erase(ticket) > 0) {
        fill_slots();
        return;
    }
    std::erase_if(waiting_, [&](const Job& job) { return job.ticket == ticket; });
}

void WorkQueue::fill_slots() {
    on_busy_(static_cast<int>(running_.size()));
    while (!waiting_.empty() && running_.size() < slots_) {
        Job next = std::move(waiting_.front());
        waiting_.pop_front();
        start(std::move(next));
    }
}

}  // namespace fake_llm
