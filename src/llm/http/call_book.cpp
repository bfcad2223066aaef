#include "llm/http/call_book.hpp"

#include "dln/error.hpp"

namespace dln::http {

void CallBook::open(std::vector<Ask> asks) {
    DLN_ASSERT(!asks.empty() && !closed_for_good_, "{} asks", asks.size());
    ++open_;
    if (asks.front().purpose != Ask::Purpose::prompt) ++preparing_;
    entries_.push_back({.asks = std::move(asks)});
}

const CallBook::Entry& CallBook::entry(std::size_t index) const {
    DLN_ASSERT(index < entries_.size() && entries_[index].is_open, "call {} of {}", index,
               entries_.size());
    return entries_[index];
}

const std::vector<Ask>& CallBook::asks(std::size_t index) const { return entry(index).asks; }

void CallBook::close(std::size_t index) {
    if (entry(index).asks.front().purpose != Ask::Purpose::prompt) --preparing_;
    --open_;
    entries_[index].is_open = false;
}

void CallBook::close_for_good() {
    for (Entry& each : entries_) each.is_open = false;
    open_ = 0;
    preparing_ = 0;
    closed_for_good_ = true;
}

void CallBook::note_malformed(std::size_t index) {
    static_cast<void>(entry(index));
    entries_[index].was_malformed = true;
}

bool CallBook::may_split(std::size_t index, int status) const {
    const Entry& call = entry(index);
    const bool is_of_one = status == 400 || status == 413 || status == 422 || status == 500;
    return call.asks.size() > 1 && (is_of_one || call.was_malformed);
}

}  // namespace dln::http
