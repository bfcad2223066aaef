// The distribution: normalised, a function of the tokens before, and consistent with its own ranking.

#include "model.hpp"

#include <cmath>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "language.hpp"

namespace fake_llm {
namespace {

const Model& model() {
    static const Model one;
    return one;
}

std::vector<State> some_states() {
    std::vector<State> states;
    State state;
    for (Token token = 0; token < 200; ++token) {
        states.push_back(state);
        state = state.after(token * 5 % kVocabulary);
    }
    return states;
}

TEST(FakeModel, IsNormalised) {
    for (const State state : some_states()) {
        double sum = 0.0;
        for (Token token = 0; token < kVocabulary; ++token) {
            sum += std::exp(model().log_prob(state, token));
        }
        EXPECT_NEAR(sum, 1.0, 1e-12);
    }
}

TEST(FakeModel, RanksAllTokensByTheirOwnLogProbs) {
    for (const State state : some_states()) {
        const std::vector<RankedToken> ranked = model().top(state, kVocabulary);
        std::set<Token> distinct;
        double last = 0.0;
        for (const RankedToken& one : ranked) {
            EXPECT_EQ(one.log_prob, model().log_prob(state, one.token));
            EXPECT_LE(one.log_prob, last);
            last = one.log_prob;
            distinct.insert(one.token);
        }
        EXPECT_EQ(distinct.size(), static_cast<std::size_t>(kVocabulary));
        EXPECT_EQ(ranked.back().token, kNever);
        EXPECT_EQ(ranked.back().log_prob, -std::numeric_limits<double>::infinity());
    }
}

TEST(FakeModel, GivesTheRankThatATokenHasAmongAll) {
    const State state = State{}.after(7);
    const std::vector<RankedToken> ranked = model().top(state, 50);
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        EXPECT_EQ(model().rank(state, ranked[i].token), static_cast<int>(i) + 1);
    }
}

TEST(FakeModel, DrawsTheBestTokenAtTemperatureZero) {
    for (const State state : some_states()) {
        EXPECT_EQ(model().next(state, {.temperature = 0.0}), model().top(state, 1)[0].token);
    }
}

TEST(FakeModel, DrawsBySeedAndInProportion) {
    const State state = State{}.after(3);
    const RankedToken best = model().top(state, 1)[0];
    int hits = 0;
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
        const Token token = model().next(state, {.temperature = 1.0, .seed = seed});
        EXPECT_EQ(token, model().next(state, {.temperature = 1.0, .seed = seed}));
        hits += token == best.token ? 1 : 0;
    }
    EXPECT_NEAR(hits / 4000.0, std::exp(best.log_prob), 0.03);
}

TEST(FakeModel, KeepsToTopK) {
    const State state = State{}.after(3);
    const std::vector<RankedToken> best = model().top(state, 2);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const Token token = model().next(state, {.temperature = 5.0, .top_k = 2, .seed = seed});
        EXPECT_TRUE(token == best[0].token || token == best[1].token);
    }
}

TEST(FakeModel, KnowsAllTokensBeforeAndTheirOrder) {
    const std::vector<Token> tokens{5, 6};
    const std::vector<Token> turned{6, 5};
    EXPECT_NE(State{}.after(tokens).hash, State{}.after(turned).hash);
    EXPECT_EQ(State{}.after(tokens).hash, State{}.after(5).after(6).hash);
}

TEST(FakeModel, HasFixedNumbers) {
    // Tests elsewhere may hold them.
    EXPECT_EQ(State{}.after(5).hash, 488092008514747400U);
    EXPECT_NEAR(model().log_prob(State{}.after(5), 300), -8.6397647555225383, 1e-12);
}

TEST(FakeLanguage, ScoresWhatItGenerates) {
    const Language language({}, false);
    const std::vector<Token> prompt = language.prompt_tokens("Is it so?", true);
    const Generated generated =
        language.generate(prompt, {.max_tokens = 20, .sampling = {.seed = 4}});
    std::vector<Token> all = prompt;
    for (const ScoredToken& one : generated.tokens) {
        all.push_back(one.token);
    }
    const std::vector<ScoredToken> scored = language.score(all);
    for (std::size_t i = 0; i < generated.tokens.size(); ++i) {
        EXPECT_EQ(scored[prompt.size() + i].log_prob, generated.tokens[i].log_prob);
    }
}

TEST(FakeLanguage, EndsBeforeAStop) {
    const Language language({}, false);
    const std::vector<Token> prompt = language.prompt_tokens("Is it so?", true);
    GenerateLimits limits{.max_tokens = 8, .sampling = {.temperature = 0, .ignore_end = true}};
    const Generated whole = language.generate(prompt, limits);
    const std::string stop = whole.text.substr(3, 2);
    limits.stop = {stop};
    const Generated cut = language.generate(prompt, limits);
    EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
    EXPECT_EQ(cut.finish, Finish::stop);
    EXPECT_EQ(cut.stopped_by, stop);
}

}  // namespace
}  // namespace fake_llm
