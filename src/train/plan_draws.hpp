#pragma once
// Texts that the model writes for a plan. Rank 0 only.

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "dln/llm/backend.hpp"
#include "dln/train/plan.hpp"

namespace dln {

struct DrawnText {
    GeneratedText text;
    double prompt_tokens = 0.0;
};

/// Mean and standard error of lengths; without any the length is `most_tokens`.
[[nodiscard]] SampledLength length_of(const std::vector<double>& tokens, int most_tokens);

class TextDraws {
  public:
    /// Both must outlive the draws; what they cost is added to `sent`.
    TextDraws(Backend& backend, Usage& sent) : backend_(backend), sent_(sent) {}
    /// Each request has one item, so that its usage tells the item's tokens.
    [[nodiscard]] std::vector<DrawnText> all(const std::vector<GenerateRequest>& requests);
    /// Rounds of at most `most` requests until the mean length of their texts is known well enough; `request`
    /// may have none for an index. What came is given to `take`. `most_tokens` as in length_of.
    SampledLength until_precise(
        const std::function<std::optional<GenerateRequest>(std::size_t)>& request,
        const std::function<void(std::size_t, const GenerateItem&, const DrawnText&)>& take,
        std::size_t most,
        int most_tokens);

  private:
    Backend& backend_;
    Usage& sent_;
};

}  // namespace dln
