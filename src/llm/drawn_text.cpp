#include "dln/llm/drawn_text.hpp"

#include <cmath>

#include "dln/llm/logits.hpp"
#include "dln/text/utf8.hpp"

namespace dln {

std::optional<std::int32_t> DrawnText::draw(std::span<const float> logits) {
    if (!std::isfinite(log_sum_exp(logits))) {
        text_.error = "the model returned logits that are not finite";
        return std::nullopt;
    }
    const double uniform = options_->temperature > 0.0 ? random_.uniform() : 0.0;
    const std::int32_t token =
        sample_token(logits, options_->temperature, options_->top_p, uniform);
    ++drawn_;
    if (tokenizer_->ends_generation(token)) return std::nullopt;
    text_.text += tokenizer_->piece(token);
    ++text_.tokens;
    for (const std::string& stop : options_->stop) {
        if (const std::size_t at = text_.text.find(stop); at != std::string::npos) {
            text_.text.resize(at);
            return std::nullopt;
        }
    }
    if (text_.tokens >= options_->max_tokens) {
        text_.cut = true;
        return std::nullopt;
    }
    return token;
}

GeneratedText DrawnText::take() {
    text_.text = replace_invalid_utf8(text_.text);
    return std::move(text_);
}

}  // namespace dln
