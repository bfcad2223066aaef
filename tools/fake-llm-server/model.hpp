#pragma once
// The fake model's distribution over the next token: a pure function of all tokens before, exactly
// normalised, the same bits in every process. It costs a few multiplications: what the hash of the tokens
// before chooses is only *which* token gets which of a fixed list of probabilities.

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer.hpp"

namespace fake_llm {

/// All that the model knows of the tokens before: their hash.
struct State {
    std::uint64_t hash = 0x9e3779b97f4a7c15U;
    [[nodiscard]] State after(Token token) const;
    [[nodiscard]] State after(std::span<const Token> tokens) const;
};

/// A well-mixed function of both.
[[nodiscard]] std::uint64_t mix(std::uint64_t a, std::uint64_t b);
/// In (0, 1), from the upper bits of `bits`.
[[nodiscard]] double fraction(std::uint64_t bits);

struct RankedToken {
    Token token = 0;
    double log_prob = 0.0;
};

struct Sampling {
    double temperature = 1.0;
    double top_p = 1.0;
    int top_k = 0;  ///< 0: all
    std::uint64_t seed = 0;
    bool ignore_end = false;
};

class Model {
  public:
    Model();

    /// Natural logarithm; minus infinity for kNever alone.
    [[nodiscard]] double log_prob(State state, Token token) const;
    /// The `count` most probable tokens, best first; kNever is the last of all.
    [[nodiscard]] std::vector<RankedToken> top(State state, int count) const;
    /// 1 for the most probable token.
    [[nodiscard]] int rank(State state, Token token) const;
    /// The best token at temperature 0, else a sample fixed by state and seed.
    [[nodiscard]] Token next(State state, const Sampling& sampling) const;

  private:
    // Tokens whose probabilities are permuted among each other: index i of `tokens` has the place
    // (i - shift) * inverse mod size in the list of probabilities, for a unit and a shift by hash.
    struct Unit {
        std::uint64_t factor;
        std::uint64_t inverse;
    };
    struct Block {
        std::vector<Token> tokens;
        std::vector<double> log_probs;  // descending
        std::vector<Unit> units;        // of the integers modulo tokens.size()
    };
    struct Permutation {
        Unit unit;
        std::uint64_t shift;
    };
    enum class Place : std::uint8_t { common, rare, end, never };
    struct Position {
        Place place;
        std::uint32_t index;
    };
    [[nodiscard]] static Block make_block(std::vector<Token> tokens, double mass, double slope);
    [[nodiscard]] static Permutation permutation(const Block& block, std::uint64_t bits);
    [[nodiscard]] static std::size_t rank_in(const Block& block,
                                             const Permutation& permutation,
                                             std::size_t index);
    [[nodiscard]] Permutation common_order(State state) const;
    [[nodiscard]] Permutation rare_order(State state) const;
    [[nodiscard]] Token sample(State state, const Sampling& sampling) const;

    Block common_;  // printable text
    Block rare_;    // other bytes and control tokens
    std::vector<Position> positions_;
};

}  // namespace fake_llm
