#pragma once
// What scores cost in requests and tokens, by the way in which a backend makes them. Pure.
//
// A request is a prompt sent to a model that asks for scores or text, as servers count and bill it: each
// prompt of a list is one, and look-ups such as tokenising are none. A backend inside this process makes one
// request of an item.

#include <array>
#include <span>

namespace dln {

/// In expectation, or summed: hence no integers.
struct RequestCost {
    double requests = 0.0;
    double input_tokens = 0.0;   ///< of the prompts
    double output_tokens = 0.0;  ///< drawn
    double money = 0.0;          ///< at the prices of whoever is asked; 0 until it is priced
    RequestCost& operator+=(const RequestCost& other);
    [[nodiscard]] RequestCost operator*(double factor) const;
    friend bool operator==(const RequestCost&, const RequestCost&) = default;
};
/// All of them, for what is done to each alike.
inline constexpr std::array<double RequestCost::*, 4> kRequestCostNumbers{
    &RequestCost::requests, &RequestCost::input_tokens, &RequestCost::output_tokens,
    &RequestCost::money};
[[nodiscard]] RequestCost operator+(RequestCost a, const RequestCost& b);

/// The requests that an item with a context and its targets becomes.
enum class ScoreManner {
    none,                ///< scores cannot be had
    item,                ///< one: the context once, then all targets
    target,              ///< one a target, each with the context again
    target_and_context,  ///< one a target and one for the context alone, whose tokens nobody else counts
    token,               ///< one a token of a target, each with all before it
};

/// How a backend spends requests.
struct RequestManner {
    ScoreManner score = ScoreManner::item;
    double drawn_a_score =
        0.0;  ///< tokens that are drawn for each request for scores, and thrown away
    /// With a journal: scores of an item that were asked for before cost nothing, whatever stands beside it.
    bool recalls_scores = false;
    bool recalls_texts = false;  ///< the same of texts without temperature
};

/// Of scoring one item. `targets` has the number of tokens of each target.
[[nodiscard]] RequestCost cost_of_scores(const RequestManner& manner,
                                         double context_tokens,
                                         std::span<const double> targets);

}  // namespace dln
