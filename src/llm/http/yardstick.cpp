#include "llm/http/yardstick.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dln::http {
namespace {

constexpr double kMostNatsAToken = 0.25;

}  // namespace

void Yardstick::note_request(std::uint64_t id, const Request& request) {
    const auto* scored = std::get_if<ScoreRequest>(&request);
    if (item_ || scored == nullptr || scored->items.empty()) return;
    item_ = scored->items.front();
    id_ = id;
}

void Yardstick::note_reply(std::uint64_t id, const Reply& reply) {
    if (is_set() || !item_ || id != id_) return;
    const auto& scores = std::get<ScoreReply>(reply).scores.front();
    if (!scores.empty() && std::ranges::all_of(scores, &TargetScore::ok)) {
        expected_ = scores;
    } else {
        item_.reset();  // the next one
    }
}

std::string Yardstick::compare(const Reply& reply) const {
    const auto& scores = std::get<ScoreReply>(reply).scores.front();
    double sum = 0.0;
    std::size_t tokens = 0;
    for (std::size_t t = 0; t < expected_.size(); ++t) {
        const auto& before = expected_[t].token_log_probs;
        const auto& now = scores.at(t).token_log_probs;
        if (!scores[t].ok())
            return fmt::format("a text that had a score has none: {}", scores[t].error);
        if (now.size() != before.size()) {
            return fmt::format("a text of {} tokens has {} now", before.size(), now.size());
        }
        for (std::size_t i = 0; i < before.size(); ++i) sum += std::abs(now[i] - before[i]);
        tokens += before.size();
    }
    const double mean = tokens == 0 ? 0.0 : sum / static_cast<double>(tokens);
    if (mean <= kMostNatsAToken) return {};
    return fmt::format("the same text scores {:.3g} nats a token differently than before", mean);
}

}  // namespace dln::http
