#pragma once
// A text that is drawn from logits, token by token: when it ends and what it then is. Pure but for its random stream.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dln/llm/backend.hpp"
#include "dln/llm/tokenizer.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln {

struct DrawOptions {
    int max_tokens = 64;
    double temperature = 0.0;  ///< 0 takes the most probable token
    double top_p = 1.0;
    /// The text ends before the first of these; none may be empty.
    std::vector<std::string> stop;
};

class DrawnText {
  public:
    /// `tokenizer` and `options` must outlive it.
    DrawnText(const Tokenizer& tokenizer, const DrawOptions& options, const CounterRng& random)
        : tokenizer_(&tokenizer), options_(&options), random_(random) {}

    /// Draws from the logits behind the text. Returns the token that was added; none when the text has ended, by an end
    /// token, a stop string, its length, or logits that are not finite, which are an error of the text.
    [[nodiscard]] std::optional<std::int32_t> draw(std::span<const float> logits);
    /// Tokens that were drawn, one that ended the text included.
    [[nodiscard]] int drawn() const noexcept { return drawn_; }
    /// Call when it has ended.
    [[nodiscard]] GeneratedText take();

  private:
    const Tokenizer* tokenizer_;
    const DrawOptions* options_;
    CounterRng random_;
    GeneratedText text_;
    int drawn_ = 0;
};

}  // namespace dln
