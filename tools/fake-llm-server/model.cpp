#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fake_llm {
namespace {

constexpr double kRareMass = 0.01;
constexpr double kCommonSlope = 1.2;
constexpr double kRareSlope = 1.0;
// One context in kEndEvery is one where a text likely ends, so that greedy texts end too.
constexpr std::uint64_t kEndEvery = 24;
constexpr double kEndLikely = 0.6;
constexpr double kEndUnlikely = 1e-4;

double end_mass(State state) {
    return (state.hash >> 40U) % kEndEvery == 0 ? kEndLikely : kEndUnlikely;
}

struct EndLogs {
    double end;
    double rest;
};

EndLogs end_logs(State state) {
    static const EndLogs likely{std::log(kEndLikely), std::log1p(-kEndLikely)};
    static const EndLogs unlikely{std::log(kEndUnlikely), std::log1p(-kEndUnlikely)};
    return end_mass(state) == kEndLikely ? likely : unlikely;
}

bool is_common(Token token) {
    const Token byte = token - kFirstByte;
    return token >= kFirstMerged || byte == '\n' || (byte >= 0x20 && byte < 0x7f);
}

}  // namespace

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t bits = a ^ ((b + 1) * 0xd6e8feb86659fd93U);
    bits = (bits ^ (bits >> 32U)) * 0xd6e8feb86659fd93U;
    bits = (bits ^ (bits >> 29U)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 32U);
}

double fraction(std::uint64_t bits) { return (static_cast<double>(bits >> 12U) + 0.5) * 0x1p-52; }

State State::after(Token token) const { return {mix(hash, static_cast<std::uint64_t>(token))}; }

State State::after(std::span<const Token> tokens) const {
    State state = *this;
    for (const Token token : tokens) {
        state = state.after(token);
    }
    return state;
}

Model::Model() : positions_(kVocabulary) {
    std::vector<Token> common;
    std::vector<Token> rare;
    for (Token token = 0; token < kVocabulary; ++token) {
        Position& position = positions_[static_cast<std::size_t>(token)];
        if (token == kEnd || token == kNever) {
            position = {token == kEnd ? Place::end : Place::never, 0};
            continue;
        }
        const bool text = is_common(token);
        std::vector<Token>& tokens = text ? common : rare;
        position = {text ? Place::common : Place::rare, static_cast<std::uint32_t>(tokens.size())};
        tokens.push_back(token);
    }
    common_ = make_block(std::move(common), 1.0 - kRareMass, kCommonSlope);
    rare_ = make_block(std::move(rare), kRareMass, kRareSlope);
}

Model::Block Model::make_block(std::vector<Token> tokens, double mass, double slope) {
    Block block{.tokens = std::move(tokens)};
    const std::size_t size = block.tokens.size();
    double sum = 0.0;
    for (std::size_t rank = 0; rank < size; ++rank) {
        sum += std::pow(static_cast<double>(rank + 1), -slope);
    }
    for (std::size_t rank = 0; rank < size; ++rank) {
        block.log_probs.push_back(std::log(mass / sum) -
                                  slope * std::log(static_cast<double>(rank + 1)));
    }
    for (std::uint64_t factor = 1; factor < size; ++factor) {
        if (std::gcd(factor, size) == 1) {
            std::uint64_t inverse = 1;
            while (factor * inverse % size != 1) {
                ++inverse;
            }
            block.units.push_back({factor, inverse});
        }
    }
    return block;
}

Model::Permutation Model::permutation(const Block& block, std::uint64_t bits) {
    return {block.units[(bits & 0xffffffU) % block.units.size()],
            (bits >> 24U) % block.tokens.size()};
}

Model::Permutation Model::common_order(State state) const {
    return permutation(common_, state.hash);
}

Model::Permutation Model::rare_order(State state) const {
    return permutation(rare_, mix(state.hash, 1));
}

std::size_t Model::rank_in(const Block& block, const Permutation& permutation, std::size_t index) {
    const std::size_t size = block.tokens.size();
    return (index + size - permutation.shift) * permutation.unit.inverse % size;
}

double Model::log_prob(State state, Token token) const {
    const Position position = positions_.at(static_cast<std::size_t>(token));
    switch (position.place) {
        case Place::common:
            return end_logs(state).rest +
                   common_.log_probs[rank_in(common_, common_order(state), position.index)];
        case Place::rare:
            return end_logs(state).rest +
                   rare_.log_probs[rank_in(rare_, rare_order(state), position.index)];
        case Place::end:
            return end_logs(state).end;
        case Place::never:
            break;
    }
    return -std::numeric_limits<double>::infinity();
}

std::vector<RankedToken> Model::top(State state, int count) const {
    const EndLogs logs = end_logs(state);
    const auto token_at = [](const Block& block, const Permutation& order, std::size_t rank) {
        return block.tokens[(rank * order.unit.factor + order.shift) % block.tokens.size()];
    };
    const Permutation common = common_order(state);
    const Permutation rare = rare_order(state);
    std::size_t next_common = 0;
    std::size_t next_rare = 0;
    bool end_taken = false;
    const auto wanted = static_cast<std::size_t>(std::clamp(count, 0, kVocabulary));
    std::vector<RankedToken> ranked;
    ranked.reserve(wanted);
    while (ranked.size() < wanted) {
        constexpr double kNone = -std::numeric_limits<double>::infinity();
        const double of_end = end_taken ? kNone : logs.end;
        const double of_common = next_common < common_.tokens.size()
                                     ? logs.rest + common_.log_probs[next_common]
                                     : kNone;
        const double of_rare =
            next_rare < rare_.tokens.size() ? logs.rest + rare_.log_probs[next_rare] : kNone;
        if (of_end == kNone && of_common == kNone && of_rare == kNone) {
            ranked.push_back({kNever, kNone});
            break;
        }
        if (of_end >= of_common && of_end >= of_rare) {
            ranked.push_back({kEnd, of_end});
            end_taken = true;
        } else if (of_common >= of_rare) {
            ranked.push_back({token_at(common_, common, next_common++), of_common});
        } else {
            ranked.push_back({token_at(rare_, rare, next_rare++), of_rare});
        }
    }
    return ranked;
}

int Model::rank(State state, Token token) const {
    const double own = log_prob(state, token);
    const EndLogs logs = end_logs(state);
    const auto better = [&](const Block& block) {
        const auto first_not_better =
            std::partition_point(block.log_probs.begin(), block.log_probs.end(),
                                 [&](double value) { return logs.rest + value > own; });
        return static_cast<int>(first_not_better - block.log_probs.begin());
    };
    return 1 + better(common_) + better(rare_) + (logs.end > own ? 1 : 0);
}

Token Model::next(State state, const Sampling& sampling) const {
    if (sampling.temperature > 0.0) {
        return sample(state, sampling);
    }
    const std::vector<RankedToken> best = top(state, 2);
    return sampling.ignore_end && best[0].token == kEnd ? best[1].token : best[0].token;
}

Token Model::sample(State state, const Sampling& sampling) const {
    std::vector<RankedToken> tokens = top(state, kVocabulary - 1);
    if (sampling.ignore_end) {
        std::erase_if(tokens, [](const RankedToken& one) { return one.token == kEnd; });
    }
    if (sampling.top_k > 0 && static_cast<std::size_t>(sampling.top_k) < tokens.size()) {
        tokens.resize(static_cast<std::size_t>(sampling.top_k));
    }
    const double best = tokens.front().log_prob;
    std::vector<double> weights(tokens.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        weights[i] = std::exp((tokens[i].log_prob - best) / sampling.temperature);
        sum += weights[i];
    }
    double kept = 0.0;
    std::size_t count = 0;
    while (count < tokens.size() && (count == 0 || kept < sampling.top_p * sum)) {
        kept += weights[count++];
    }
    double left = kept * fraction(mix(mix(state.hash, 2), sampling.seed));
    for (std::size_t i = 0; i < count; ++i) {
        left -= weights[i];
        if (left < 0.0) {
            return tokens[i].token;
        }
    }
    return tokens[count - 1].token;
}

}  // namespace fake_llm
