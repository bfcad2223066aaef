#pragma once
// What the server saw: counts, repetitions, and how busy its slots were. Pure: time is a parameter.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

#include "load.hpp"

namespace fake_llm {

class Stats {
  public:
    explicit Stats(int slots) : slots_(slots) {}

    /// A request that asks for work has come. `has_key`: with an Authorization header.
    void arrived(std::uint64_t request_hash, bool has_key, Seconds now);
    /// Work of a request that is let in.
    void accepted(const std::vector<std::uint64_t>& prompt_hashes,
                  std::int64_t prompt_tokens,
                  std::int64_t completion_tokens);
    /// A request got its reply; a status of 0 says that there was none (stalled, reset, abandoned).
    void departed(int status, Seconds now);
    void abandoned(Seconds now);
    void fault(std::string_view name) { ++by_fault_[std::string(name)]; }
    /// Any other call than for work.
    void looked_up() { ++look_ups_; }
    void connected() { ++connections_opened_, ++connections_open_; }
    void disconnected() { --connections_open_; }
    void set_busy(int busy, Seconds now);

    [[nodiscard]] nlohmann::json report(Seconds now) const;
    /// Forgets all but what is open, in flight and busy now.
    void reset(Seconds now);

  private:
    [[nodiscard]] double busy_seconds(Seconds now) const;
    [[nodiscard]] double share_of(double busy_seconds, Seconds span) const;

    int slots_;
    std::int64_t requests_ = 0;
    std::int64_t look_ups_ = 0;
    std::int64_t with_key_ = 0;
    std::int64_t prompts_ = 0;
    std::int64_t prompt_tokens_ = 0;
    std::int64_t completion_tokens_ = 0;
    std::int64_t repeated_requests_ = 0;
    std::int64_t repeated_prompts_ = 0;
    std::int64_t abandoned_ = 0;
    std::int64_t connections_opened_ = 0;
    std::int64_t connections_open_ = 0;
    std::int64_t in_flight_ = 0;
    std::int64_t max_in_flight_ = 0;
    std::map<int, std::int64_t> by_status_;
    std::map<std::string, std::int64_t> by_fault_;
    std::unordered_set<std::uint64_t> request_hashes_;
    std::unordered_set<std::uint64_t> prompt_hashes_;

    int busy_ = 0;
    int max_busy_ = 0;
    double busy_seconds_ = 0.0;  // until busy_since_
    Seconds busy_since_ = 0.0;
    Seconds first_arrival_ = -1.0;
    Seconds last_arrival_ = -1.0;
    Seconds last_departure_ = -1.0;
    double busy_at_last_arrival_ = 0.0;
    double busy_at_last_departure_ = 0.0;
};

}  // namespace fake_llm
