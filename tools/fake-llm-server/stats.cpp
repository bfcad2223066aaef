#include "stats.hpp"

#include <algorithm>

namespace fake_llm {
namespace {

nlohmann::json time_or_null(Seconds time) {
    return time < 0.0 ? nlohmann::json() : nlohmann::json(time);
}

}  // namespace

void Stats::arrived(std::uint64_t request_hash, bool has_key, Seconds now) {
    ++requests_;
    with_key_ += has_key ? 1 : 0;
    repeated_requests_ += request_hashes_.insert(request_hash).second ? 0 : 1;
    max_in_flight_ = std::max(max_in_flight_, ++in_flight_);
    first_arrival_ = first_arrival_ < 0.0 ? now : first_arrival_;
    last_arrival_ = now;
    busy_at_last_arrival_ = busy_seconds(now);
}

void Stats::accepted(const std::vector<std::uint64_t>& prompt_hashes,
                     std::int64_t prompt_tokens,
                     std::int64_t completion_tokens) {
    prompts_ += static_cast<std::int64_t>(prompt_hashes.size());
    prompt_tokens_ += prompt_tokens;
    completion_tokens_ += completion_tokens;
    for (const std::uint64_t hash : prompt_hashes) {
        repeated_prompts_ += prompt_hashes_.insert(hash).second ? 0 : 1;
    }
}

void Stats::departed(int status, Seconds now) {
    --in_flight_;
    if (status > 0) {
        ++by_status_[status];
    }
    last_departure_ = now;
    busy_at_last_departure_ = busy_seconds(now);
}

void Stats::abandoned(Seconds now) {
    ++abandoned_;
    departed(0, now);
}

void Stats::set_busy(int busy, Seconds now) {
    busy_seconds_ = busy_seconds(now);
    busy_since_ = now;
    busy_ = busy;
    max_busy_ = std::max(max_busy_, busy);
}

double Stats::busy_seconds(Seconds now) const {
    return busy_seconds_ + busy_ * (now - busy_since_);
}

double Stats::share_of(double busy_seconds, Seconds span) const {
    return span > 0.0 ? busy_seconds / (slots_ * span) : 0.0;
}

nlohmann::json Stats::report(Seconds now) const {
    nlohmann::json by_status = nlohmann::json::object();
    for (const auto& [status, count] : by_status_) {
        by_status[std::to_string(status)] = count;
    }
    nlohmann::json report{{"now_s", now},
                          {"requests", requests_},
                          {"look_ups", look_ups_},
                          {"requests_with_authorization", with_key_},
                          {"prompts", prompts_},
                          {"prompt_tokens", prompt_tokens_},
                          {"completion_tokens", completion_tokens_},
                          {"repeated_requests", repeated_requests_},
                          {"repeated_prompts", repeated_prompts_},
                          {"abandoned", abandoned_},
                          {"by_status", std::move(by_status)},
                          {"by_fault", by_fault_},
                          {"connections_opened", connections_opened_},
                          {"connections_open", connections_open_},
                          {"in_flight", in_flight_},
                          {"max_in_flight", max_in_flight_},
                          {"slots", slots_},
                          {"max_busy_slots", max_busy_},
                          {"first_arrival_s", time_or_null(first_arrival_)},
                          {"last_arrival_s", time_or_null(last_arrival_)},
                          {"last_departure_s", time_or_null(last_departure_)},
                          {"busy_slot_seconds", busy_seconds(now)},
                          {"busy_slot_seconds_until_last_arrival", busy_at_last_arrival_},
                          {"busy_share_until_last_arrival", nullptr},
                          {"busy_share_until_last_departure", nullptr}};
    if (slots_ > 0) {
        report["busy_share_until_last_arrival"] =
            share_of(busy_at_last_arrival_, last_arrival_ - first_arrival_);
        report["busy_share_until_last_departure"] =
            share_of(busy_at_last_departure_, last_departure_ - first_arrival_);
    }
    return report;
}

void Stats::reset(Seconds now) {
    Stats fresh(slots_);
    fresh.connections_open_ = connections_open_;
    fresh.connections_opened_ = connections_open_;
    fresh.in_flight_ = in_flight_;
    fresh.max_in_flight_ = in_flight_;
    fresh.set_busy(busy_, now);
    *this = std::move(fresh);
}

}  // namespace fake_llm
