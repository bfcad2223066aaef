// What the probe finds out, on a small language model that is right, or wrong in one way.

#include "dln/llm/probe.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/llm/scripted.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;

/// A token is a byte, and its probability follows from the byte before it.
class ByteBackend : public Backend {
  public:
    /// Which probability is given for a token: its own, that of the token after it, or its own as if it
    /// had been said once already (the row of logits one too far).
    enum class Scores { sound, of_the_next_token, from_the_next_row };
    struct Faults {
        Scores scores = Scores::sound;
        bool ignores_the_limit = false;
        double noise_beside_others = 0.0;  ///< a token of the second item, of the third twice, ...
        double noise_each_time = 0.0;  ///< a token of the second request, of the third twice, ...
        bool cannot_score = false;
        std::string kind = "bytes";
    };
    explicit ByteBackend(const Faults& faults) : faults_(faults) {
        info_ = {.kind = faults.kind, .model = "bytes", .context_tokens = 200};
    }
    [[nodiscard]] std::size_t scored_targets() const noexcept { return scored_targets_; }
    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override { pending_ = {id, std::move(request)}; }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds /*timeout*/) override {
        Completion completion{.id = pending_.id};
        if (const auto* score = std::get_if<ScoreRequest>(&pending_.request)) {
            completion.reply = answer(*score);
        } else {
            const auto& request = std::get<GenerateRequest>(pending_.request);
            GenerateReply reply;
            for (const GenerateItem& item : request.items) {
                reply.texts.push_back({.text = greedy(item.context.text), .tokens = 1});
                ++completion.usage.generated_tokens;
            }
            completion.reply = std::move(reply);
        }
        return {std::move(completion)};
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 1; }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return static_cast<int>(context.text.size());
    }

  private:
    // Every byte has a best successor, a letter; the others are far behind.
    static char best_after(char before) {
        return static_cast<char>('a' + static_cast<unsigned char>(before) % 26);
    }
    static double log_prob(char before, char next) {
        if (next == best_after(before)) return -0.1;
        return -3.0 - 0.01 * static_cast<double>(static_cast<unsigned char>(next));
    }
    static std::string greedy(const std::string& context) { return {best_after(context.back())}; }

    [[nodiscard]] ScoreReply answer(const ScoreRequest& request) {
        ScoreReply reply;
        for (std::size_t i = 0; i < request.items.size(); ++i) {
            scored_targets_ += request.items[i].targets.size();
            auto& scores = reply.scores.emplace_back();
            const double noise = faults_.noise_beside_others * static_cast<double>(i) +
                                 faults_.noise_each_time * static_cast<double>(requests_);
            for (const std::string& target : request.items[i].targets) {
                scores.push_back(score(request.items[i].context.text, target, noise));
            }
        }
        ++requests_;
        return reply;
    }
    [[nodiscard]] TargetScore score(const std::string& context,
                                    const std::string& target,
                                    double noise) const {
        if (faults_.cannot_score) return {.token_log_probs = {}, .error = "no echo"};
        if (!faults_.ignores_the_limit && context.size() + target.size() > 200) {
            return {.token_log_probs = {}, .error = "too long"};
        }
        const std::string text = context + target;
        TargetScore result;
        for (std::size_t i = context.size(); i < text.size(); ++i) {
            result.token_log_probs.push_back(faulty_log_prob(text, i));
        }
        result.token_log_probs.front() -= noise;
        return result;
    }

    [[nodiscard]] double faulty_log_prob(const std::string& text, std::size_t i) const {
        switch (faults_.scores) {
            case Scores::of_the_next_token:
                return i + 1 < text.size() ? log_prob(text[i], text[i + 1]) : -9.0;
            case Scores::from_the_next_row:
                return log_prob(text[i], text[i]);
            default:
                return log_prob(text[i - 1], text[i]);
        }
    }

    struct Pending {
        std::uint64_t id = 0;
        Request request;
    };
    Faults faults_;
    BackendInfo info_;
    Pending pending_;
    int requests_ = 0;
    std::size_t scored_targets_ = 0;
};

ProbeReport probe(const ByteBackend::Faults& faults) {
    ByteBackend backend(faults);
    return probe_backend(backend);
}

/// The check whose name holds `part`, if it was made.
std::optional<ProbeCheck> check(const ProbeReport& report, const std::string& part) {
    const auto found = std::ranges::find_if(report.checks, [&](const ProbeCheck& entry) {
        return entry.name.find(part) != std::string::npos;
    });
    if (found == report.checks.end()) return std::nullopt;
    return *found;
}

/// Names of the checks that say no.
std::vector<std::string> refusals(const ProbeReport& report) {
    std::vector<std::string> names;
    for (const ProbeCheck& entry : report.checks) {
        if (!entry.ok) names.push_back(entry.name);
    }
    return names;
}

TEST(Probe, SoundBackendPassesWithoutNoise) {
    const ProbeReport report = probe({});
    EXPECT_TRUE(report.ok()) << ::testing::PrintToString(refusals(report));
    EXPECT_EQ(report.noise_floor, 0.0);
    EXPECT_EQ(report.info.kind, "bytes");
    EXPECT_THAT(report.scored_items_per_second, Gt(0.0));
    EXPECT_THAT(report.generated_tokens_per_second, Gt(0.0));
    EXPECT_THAT(check(report, "too long")->detail, HasSubstr("too long"));
}

TEST(Probe, ScoresThatAreShiftedByATokenAreRefused) {
    using Scores = ByteBackend::Scores;
    for (const Scores scores : {Scores::of_the_next_token, Scores::from_the_next_row}) {
        const ProbeReport report = probe({.scores = scores});
        EXPECT_FALSE(report.ok());
        EXPECT_FALSE(check(report, "agrees")->ok);
        EXPECT_THAT(check(report, "agrees")->detail, HasSubstr("belong to the tokens"));
    }
}

TEST(Probe, ContextThatIsCutSilentlyIsRefused) {
    const ProbeReport report = probe({.ignores_the_limit = true});
    EXPECT_FALSE(report.ok());
    EXPECT_FALSE(check(report, "too long")->ok);
    EXPECT_THAT(check(report, "too long")->detail,
                AllOf(HasSubstr("200 tokens"), HasSubstr("cut silently")));
}

TEST(Probe, NoiseOfRepetitionIsMeasured) {
    // Five times in eights; the first is number 0, the fifth number 4, and what follows differs more:
    // eight alone (5 to 12), then four in twos (13 to 16).
    const ProbeReport report = probe({.noise_each_time = 0.001});
    EXPECT_NEAR(report.noise_floor, 0.016, 1e-9);
    EXPECT_THAT(check(report, "same request")->detail, HasSubstr("0.004"));
    EXPECT_TRUE(report.ok());
}

TEST(Probe, NoiseOfCompanyIsMeasured) {
    // The eighth item has seven before it in a block of eight, and none alone.
    const ProbeReport report = probe({.noise_beside_others = 0.001});
    EXPECT_NEAR(report.noise_floor, 0.007, 1e-9);
    EXPECT_TRUE(report.ok());
}

TEST(Probe, ScoresThatDependMuchOnTheirCompanyAreReported) {
    const ProbeReport report = probe({.noise_beside_others = 0.1});
    EXPECT_NEAR(report.noise_floor, 0.7, 1e-9);
    EXPECT_FALSE(check(report, "company")->ok);
    EXPECT_THAT(check(report, "company")->detail, HasSubstr("unquantised"));
}

TEST(Probe, ScoresThatDoNotBelongAreNotAskedForAnyMore) {
    ByteBackend backend({.scores = ByteBackend::Scores::from_the_next_row});
    const ProbeReport report = probe_backend(backend);
    EXPECT_THAT(backend.scored_targets(), Le(5U));
    EXPECT_FALSE(report.has_measurements());
    EXPECT_EQ(report.checks.back().name, kAgreementCheck);
}

TEST(Probe, SlowServerIsAskedForLessAndForTheSameFiveTimes) {
    ByteBackend slow({.noise_each_time = 0.001, .kind = "http"});
    const ProbeReport report = probe_backend(slow, {.slow_request_seconds = 0.0});
    EXPECT_TRUE(report.ok()) << ::testing::PrintToString(refusals(report));
    EXPECT_THAT(check(report, "same request")->detail, HasSubstr("0.004"));
    EXPECT_THAT(slow.scored_targets(), Le(40U));
    EXPECT_THAT(report.scored_items_per_second, Gt(0.0));
    ByteBackend fast({.kind = "http"});
    EXPECT_TRUE(probe_backend(fast, {.slow_request_seconds = 1000.0}).ok());
    EXPECT_THAT(fast.scored_targets(), Gt(150U));
}

TEST(Probe, WhatIsNoServerIsMeasuredInFullHoweverSlow) {
    ByteBackend backend({});
    EXPECT_TRUE(probe_backend(backend, {.slow_request_seconds = 0.0}).ok());
    EXPECT_THAT(backend.scored_targets(), Gt(150U));
}

TEST(Probe, BackendThatCannotScoreIsRefusedWithItsReason) {
    const ProbeReport report = probe({.cannot_score = true});
    EXPECT_FALSE(report.ok());
    EXPECT_EQ(report.checks.size(), 1U);
    EXPECT_EQ(report.checks[0].detail, "no echo");
}

TEST(Probe, ScriptedBackendIsNoisefreeAndRefusesWhatIsTooLong) {
    const auto backend = make_scripted_backend({});
    const ProbeReport report = probe_backend(*backend);
    EXPECT_EQ(report.noise_floor, 0.0);
    EXPECT_TRUE(check(report, "can be scored")->ok);
    EXPECT_TRUE(check(report, "company")->ok);
    EXPECT_TRUE(check(report, "too long")->ok);
}

}  // namespace
}  // namespace dln
