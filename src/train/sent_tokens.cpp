#include "train/sent_tokens.hpp"

#include <algorithm>
#include <utility>

namespace dln {

std::size_t SentTokens::begin_bytes() const {
    const ScoreManner manner = backend_.info().manner.score;
    const bool is_echo = manner == ScoreManner::target || manner == ScoreManner::target_and_context;
    return is_echo ? spec_.begin_text.size() : 0;
}

Context SentTokens::as_sent(Context context) const {
    if (begin_bytes() > 0 && !context.chat) context.text.insert(0, spec_.begin_text);
    return context;
}

std::vector<double> SentTokens::of_contexts(const std::vector<Context>& contexts) {
    std::vector<double> tokens;
    std::vector<GenerateRequest> asked;
    for (const Context& context : contexts) {
        tokens.push_back(backend_.count_tokens(context));
        if (!backend_.counts_exactly(context)) {
            asked.push_back({.items = {{context, 0}}, .max_tokens = 1});
        }
    }
    if (asked.empty() || !asks_model_) return tokens;
    const std::vector<DrawnText> drawn = draws_.all(asked);
    for (std::size_t i = 0, next = 0; i < contexts.size(); ++i) {
        if (backend_.counts_exactly(contexts[i])) continue;
        const DrawnText& one = drawn[next++];
        if (one.text.ok() && one.prompt_tokens > 0) tokens[i] = one.prompt_tokens;
    }
    return tokens;
}

double SentTokens::of_target(const Context& context,
                             const std::string& target,
                             double density) const {
    if (context.chat || !backend_.counts_exactly(context)) {
        const Context alone{.text = target};
        return backend_.counts_exactly(alone) ? backend_.count_tokens(alone)
                                              : density * static_cast<double>(target.size());
    }
    Context whole = context;
    whole.text += target;
    return std::max(backend_.count_tokens(whole) - backend_.count_tokens(context), 1);
}

}  // namespace dln
