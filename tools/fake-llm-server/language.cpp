#include "language.hpp"

#include <algorithm>

namespace fake_llm {
namespace {

struct StopPlace {
    std::size_t begin = std::string::npos;
    std::string stop;
};

StopPlace first_stop(const std::string& text, const std::vector<std::string>& stops) {
    StopPlace first;
    for (const std::string& stop : stops) {
        const std::size_t begin = stop.empty() ? std::string::npos : text.find(stop);
        if (begin < first.begin) {
            first = {begin, stop};
        }
    }
    return first;
}

}  // namespace

Language::Language(ScriptedLines scripted, bool adds_begin)
    : scripted_(std::move(scripted)), adds_begin_(adds_begin) {}

std::vector<Token> Language::prompt_tokens(std::string_view text, bool add_special) const {
    std::vector<Token> tokens = tokenizer_.encode(text, true);
    if (add_special && adds_begin_) {
        tokens.insert(tokens.begin(), kBegin);
    }
    return tokens;
}

std::string Language::plain_text(std::span<const Token> tokens) const {
    return tokenizer_.decode(tokens, true);
}

std::vector<ScoredToken> Language::score(std::span<const Token> tokens) const {
    std::vector<ScoredToken> scored;
    scored.reserve(tokens.size());
    State state;
    for (const Token token : tokens) {
        scored.push_back({token, model_.log_prob(state, token), state});
        state = state.after(token);
    }
    if (const auto tail = scripted_.scored_tail(plain_text(tokens))) {
        std::size_t begin = 0;
        for (ScoredToken& one : scored) {
            if (is_special(one.token)) {
                continue;
            }
            if (begin >= tail->begin) {
                one.log_prob = tail->log_prob;
            }
            begin += tokenizer_.piece(one.token).size();
        }
    }
    return scored;
}

ScoredToken Language::score_next(std::span<const Token> tokens, Token token) const {
    const State state = State{}.after(tokens);
    const auto scripted = scripted_.next_piece(plain_text(tokens), tokenizer_.piece(token));
    return {token, scripted.value_or(model_.log_prob(state, token)), state};
}

Generated Language::generate(std::span<const Token> prompt, const GenerateLimits& limits) const {
    std::vector<Token> script;
    const auto scripted = scripted_.text(plain_text(prompt));
    if (scripted) {
        script = tokenizer_.encode(*scripted, false);
        script.push_back(kEnd);
    }
    Generated out;
    State state = State{}.after(prompt);
    while (static_cast<int>(out.tokens.size()) < limits.max_tokens) {
        const Token token =
            scripted ? script[out.tokens.size()] : model_.next(state, limits.sampling);
        out.tokens.push_back({token, model_.log_prob(state, token), state});
        state = state.after(token);
        if (token == kEnd) {
            out.finish = Finish::end;
            break;
        }
        if (!is_special(token)) {
            out.text += tokenizer_.piece(token);
        }
        if (StopPlace place = first_stop(out.text, limits.stop); place.begin != std::string::npos) {
            out.text.resize(place.begin);
            out.finish = Finish::stop;
            out.stopped_by = std::move(place.stop);
            break;
        }
    }
    return out;
}

}  // namespace fake_llm
