#pragma once
// What one request scored at first, to be asked again of a server that was away: it may have been started
// again with other weights, or with scores that belong to other tokens. Pure.

#include <cstdint>
#include <optional>
#include <string>

#include "dln/llm/backend.hpp"

namespace dln::http {

class Yardstick {
  public:
    /// The first item of the first score request whose reply has all scores is kept.
    void note_request(std::uint64_t id, const Request& request);
    void note_reply(std::uint64_t id, const Reply& reply);
    [[nodiscard]] bool is_set() const noexcept { return !expected_.empty(); }
    /// Pre: is_set().
    [[nodiscard]] ScoreRequest request() const { return {.items = {*item_}}; }
    /// What is wrong with a later reply to request(); empty: nothing. Servers compute a request beside
    /// others, which moves last digits; more than that on average is another computation.
    [[nodiscard]] std::string compare(const Reply& reply) const;

  private:
    std::optional<ScoreItem> item_;
    std::uint64_t id_ = 0;
    std::vector<TargetScore> expected_;
};

}  // namespace dln::http
