#include "dln/llm/request_cost.hpp"

namespace dln {

RequestCost& RequestCost::operator+=(const RequestCost& other) {
    for (const auto number : kRequestCostNumbers) this->*number += other.*number;
    return *this;
}

RequestCost RequestCost::operator*(double factor) const {
    RequestCost scaled = *this;
    for (const auto number : kRequestCostNumbers) scaled.*number *= factor;
    return scaled;
}

RequestCost operator+(RequestCost a, const RequestCost& b) { return a += b; }

RequestCost cost_of_scores(const RequestManner& manner,
                           double context_tokens,
                           std::span<const double> targets) {
    RequestCost cost;
    for (const double tokens : targets) {
        switch (manner.score) {
            case ScoreManner::none:
                break;
            case ScoreManner::item:
                cost.input_tokens += tokens;
                break;
            case ScoreManner::target:
            case ScoreManner::target_and_context:
                cost.requests += 1.0;
                cost.input_tokens += context_tokens + tokens;
                break;
            case ScoreManner::token:
                // The prompts end before the first, the second, ... the last token.
                cost.requests += tokens;
                cost.input_tokens += tokens * context_tokens + tokens * (tokens - 1.0) / 2.0;
                break;
        }
    }
    if (manner.score == ScoreManner::item || manner.score == ScoreManner::target_and_context) {
        cost.requests += 1.0;
        cost.input_tokens += context_tokens;
    }
    cost.output_tokens = cost.requests * manner.drawn_a_score;
    return cost;
}

}  // namespace dln
