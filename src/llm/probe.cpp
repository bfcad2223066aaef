#include "dln/llm/probe.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Texts and targets that noise is measured on.
struct Sample {
    std::vector<std::string> texts;
    std::vector<std::string> targets;
};

// Ordinary English of several lengths; nothing here is data of anybody's task.
const Sample& whole_sample() {
    static const std::vector<std::string> texts{
        "The train to the coast leaves at nine. Is this about travel or about food?\n",
        "She planted beans along the wall and watered them every evening. Travel or food?\n",
        "Bread\n",
        "What do you call a person who repairs shoes and boots for a living in a small town?\n",
        "After the rain had stopped, the children went out to look for snails.\n",
        "Two and two make\n",
        "A letter from the bank\n",
        "The old bridge was closed for repairs last winter, so we took the ferry.\n"};
    static const Sample sample{.texts = texts,
                               .targets = {"travel", "food", " neither of them, I think"}};
    return sample;
}

// No white space at the end: it would merge with the first token of a continuation.
constexpr std::array kBeginnings{"The opposite of hot is", "Monday, Tuesday, Wednesday,",
                                 "One, two, three, four,", "The sun rises in the"};
// What scores above the greedy token when a score is that of the token behind: that which often repeats itself.
constexpr std::array kOthers{"\n", "Q", "0", "!"};
constexpr std::size_t kTargetsOfSlow = 3;
constexpr int kRepeats = 4;
constexpr std::size_t kTextsGenerated = 4;
constexpr int kTokensGenerated = 16;

// For servers that take a second for a dozen tokens.
const Sample& short_sample() {
    static const Sample sample{.texts = {"Bread\n", "Two and two make\n"}, .targets = {"food"}};
    return sample;
}

ScoreRequest request_for(const Sample& sample, std::size_t first, std::size_t count) {
    ScoreRequest request;
    const std::size_t end = std::min(first + count, sample.texts.size());
    for (std::size_t i = first; i < end; ++i) {
        request.items.push_back({{.text = sample.texts[i]}, sample.targets});
    }
    return request;
}

// Sums by target, item after item; empty when a target failed.
std::vector<double> sums(Backend& backend, ScoreRequest request, std::string& error) {
    const Completion completion = run_request(backend, std::move(request));
    std::vector<double> all;
    for (const auto& item : std::get<ScoreReply>(completion.reply).scores) {
        for (const TargetScore& score : item) {
            if (!score.ok()) {
                error = score.error;
                return {};
            }
            all.push_back(
                std::accumulate(score.token_log_probs.begin(), score.token_log_probs.end(), 0.0));
        }
    }
    return all;
}

std::vector<double> sums_in_blocks(Backend& backend,
                                   const Sample& sample,
                                   std::size_t block,
                                   std::string& error) {
    std::vector<double> all;
    for (std::size_t first = 0; first < sample.texts.size(); first += block) {
        const std::vector<double> part = sums(backend, request_for(sample, first, block), error);
        if (part.empty()) return {};
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

double spread(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0.0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        largest = std::max(largest, std::abs(a[i] - b[i]));
    }
    return largest;
}

/// Hands everything on, and adds up what it costs.
class Metered final : public Backend {
  public:
    Metered(Backend& inner, Usage& used) : inner_(inner), used_(used) {}
    [[nodiscard]] const BackendInfo& info() const noexcept override { return inner_.info(); }
    void submit(std::uint64_t id, Request request) override {
        inner_.submit(id, std::move(request));
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override {
        std::vector<Completion> completed = inner_.poll(timeout);
        for (const Completion& one : completed) used_ += one.usage;
        return completed;
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return inner_.wanted_requests();
    }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return inner_.count_tokens(context);
    }

  private:
    Backend& inner_;
    Usage& used_;
};

/// The greedy token must be the best scored among it and other continuations: catches scores that are
/// shifted by a token, and servers that ignore what they were asked to score.
class Agreement {
  public:
    Agreement(Backend& backend, const ProbeLimits& limits) : backend_(backend), limits_(limits) {}

    ProbeCheck check() {
        for (const char* beginning : kBeginnings) {
            if (!compare({.text = beginning})) return check_;
        }
        check_.ok = better_ > 0;
        if (check_.ok) {
            check_.detail = fmt::format("{} greedy tokens are the best scored", compared_);
        } else if (compared_ == 0 && !error_.empty()) {
            check_.name = "targets can be scored";
            check_.detail = error_;
        } else if (compared_ == 0) {
            check_.detail = "no generated token could be scored after its context";
        } else {
            check_.detail = "all continuations score the same: " + refusal();
        }
        return check_;
    }

    [[nodiscard]] bool is_slow() const { return is_slow_; }

  private:
    static std::string refusal() {
        return "scores do not belong to the tokens they are given for, so training on them is "
               "refused";
    }

    // False: refused.
    bool compare(const Context& context) {
        const Completion greedy =
            run_request(backend_, GenerateRequest{.items = {{context, 1}}, .max_tokens = 1});
        const GeneratedText text = std::get<GenerateReply>(greedy.reply).texts.front();
        if (!text.ok()) error_ = text.error;
        if (!text.ok() || text.text.empty()) return true;
        const std::vector<std::string> targets = targets_with(text.text);
        const Clock::time_point start = Clock::now();
        const Completion scored =
            run_request(backend_, ScoreRequest{.items = {{context, targets}}});
        if (backend_.info().kind == "http") {
            is_slow_ = is_slow_ || seconds_since(start) > limits_.slow_request_seconds;
        }
        const auto& scores = std::get<ScoreReply>(scored.reply).scores.front();
        if (!scores[0].ok()) {
            error_ = scores[0].error;
            return true;
        }
        ++compared_;
        return is_best(targets, scores);
    }

    [[nodiscard]] std::vector<std::string> targets_with(const std::string& greedy) const {
        std::vector<std::string> targets{greedy};
        for (const char* other : kOthers) {
            if (is_slow_ && targets.size() == kTargetsOfSlow) break;
            if (other != greedy) targets.emplace_back(other);
        }
        return targets;
    }

    bool is_best(const std::vector<std::string>& targets, const std::vector<TargetScore>& scores) {
        const double greedy = scores[0].token_log_probs.front();
        for (std::size_t t = 1; t < scores.size(); ++t) {
            if (!scores[t].ok()) continue;
            const double other = scores[t].token_log_probs.front();
            if (greedy > other) ++better_;
            if (greedy >= other) continue;
            check_.detail = fmt::format(
                "the greedy token \"{}\" scores {:.3f}, below \"{}\" with "
                "{:.3f}: {}",
                printable(targets[0], 40), greedy, printable(targets[t]), other, refusal());
            return false;
        }
        return true;
    }

    Backend& backend_;
    const ProbeLimits& limits_;
    ProbeCheck check_{.name = kAgreementCheck, .ok = false, .detail = {}};
    std::string error_;  // the last one
    std::size_t compared_ = 0;
    std::size_t better_ = 0;  // than another continuation, strictly
    bool is_slow_ = false;
};

// Repeated five times, alone and in twos. Returns false when nothing could be scored.
bool measure_noise(Backend& backend, const Sample& sample, ProbeReport& report) {
    std::string error;
    const std::size_t whole = sample.texts.size();
    const std::vector<double> first = sums_in_blocks(backend, sample, whole, error);
    report.checks.push_back(
        {"targets can be scored", !first.empty(),
         first.empty() ? error : fmt::format("{} targets scored", first.size())});
    if (first.empty()) return false;
    const Clock::time_point start = Clock::now();
    double repeated = 0.0;
    for (int i = 0; i < kRepeats; ++i) {
        repeated = std::max(repeated, spread(first, sums_in_blocks(backend, sample, whole, error)));
    }
    report.scored_items_per_second = static_cast<double>(kRepeats * whole) / seconds_since(start);
    double beside = spread(first, sums_in_blocks(backend, sample, 1, error));
    if (whole > 2)
        beside = std::max(beside, spread(first, sums_in_blocks(backend, sample, 2, error)));
    report.noise_floor = std::max(repeated, beside);
    report.checks.push_back({"the same request gives the same scores", true,
                             fmt::format("spread over five {:.2g} nats", repeated)});
    report.checks.push_back(
        {"scores do not depend on their company", report.noise_floor < 0.1,
         fmt::format("alone{} and in {} differ by at most {:.2g} nats{}",
                     whole > 2 ? ", in twos" : "", whole > 2 ? "eights" : "twos", beside,
                     report.noise_floor < 0.1 ? ""
                                              : ": candidates closer than this cannot be told "
                                                "apart; use unquantised weights (f32 or f16)")});
    return true;
}

ProbeCheck check_too_long(Backend& backend) {
    std::string text;
    const int limit = backend.info().context_tokens;
    while (text.size() < static_cast<std::size_t>(limit) * 6 + 64) text += " and one more word";
    std::string error;
    const std::vector<double> scores =
        sums(backend, ScoreRequest{.items = {{{.text = text}, {" again"}}}}, error);
    if (scores.empty()) return {"a context that is too long is refused", true, error};
    return {"a context that is too long is refused", false,
            fmt::format("a text far beyond {} tokens was scored: it was cut silently", limit)};
}

// Returns whether the backend is slow.
bool check_agreement(Backend& backend, const ProbeLimits& limits, ProbeReport& report) {
    report.info = backend.info();
    if (report.info.kind == "scripted") {
        report.checks.push_back(
            {kAgreementCheck, true, "not asked: scripted replies come from no model"});
        return false;
    }
    Agreement agreement(backend, limits);
    report.checks.push_back(agreement.check());
    return agreement.is_slow();
}

double generated_tokens_per_second(Backend& backend) {
    const Clock::time_point start = Clock::now();
    GenerateRequest request{.items = {}, .max_tokens = kTokensGenerated, .temperature = 1.0};
    for (std::uint64_t i = 0; i < kTextsGenerated; ++i) {
        request.items.push_back({{.text = whole_sample().texts[i]}, i});
    }
    const Completion generated = run_request(backend, std::move(request));
    return static_cast<double>(generated.usage.generated_tokens) / seconds_since(start);
}

}  // namespace

bool ProbeReport::ok() const {
    return std::ranges::all_of(checks, [](const ProbeCheck& check) { return check.ok; });
}

ProbeReport probe_backend(Backend& probed, const ProbeLimits& limits) {
    ProbeReport report;
    Metered backend(probed, report.used);
    const bool is_slow = check_agreement(backend, limits, report);
    if (!report.ok()) return report;
    if (!measure_noise(backend, is_slow ? short_sample() : whole_sample(), report)) return report;
    report.checks.push_back(check_too_long(backend));
    report.generated_tokens_per_second = generated_tokens_per_second(backend);
    return report;
}

RequestCost cost_of_probe(const RequestManner& manner,
                          const std::function<double(const std::string&)>& tokens,
                          const std::string& begin_text,
                          bool is_slow) {
    RequestCost cost;
    const auto scores = [&](const std::string& text, const std::vector<double>& targets) {
        cost += cost_of_scores(manner, tokens(begin_text + text), targets);
    };
    for (const char* beginning : kBeginnings) {
        // It is the first one that tells of a slow server.
        const bool is_short = is_slow && beginning != kBeginnings.front();
        cost += {1.0, tokens(begin_text + beginning), 1.0};
        scores(beginning, std::vector<double>(is_short ? kTargetsOfSlow : kOthers.size() + 1, 1.0));
    }
    const Sample& sample = is_slow ? short_sample() : whole_sample();
    // Once, repeated, alone, and in twos.
    const int times = 1 + kRepeats + 1 + (sample.texts.size() > 2 ? 1 : 0);
    std::vector<double> targets;
    for (const std::string& target : sample.targets) targets.push_back(tokens(target));
    for (const std::string& text : sample.texts) {
        for (int i = 0; i < times; ++i) scores(text, targets);
    }
    for (std::size_t i = 0; i < kTextsGenerated; ++i) {
        cost += {1.0, tokens(begin_text + whole_sample().texts[i]),
                 static_cast<double>(kTokensGenerated)};
    }
    return cost;
}

Slowness measure_slowness(Backend& backend, const ProbeLimits& limits) {
    std::vector<std::string> targets{" cold"};
    targets.insert(targets.end(), kOthers.begin(), kOthers.end());
    const Clock::time_point start = Clock::now();
    const Completion scored = run_request(
        backend, ScoreRequest{.items = {{{.text = kBeginnings.front()}, std::move(targets)}}});
    return {.is_slow = seconds_since(start) > limits.slow_request_seconds, .used = scored.usage};
}

ProbeReport check_scores_belong(Backend& probed) {
    ProbeReport report;
    Metered backend(probed, report.used);
    (void)check_agreement(backend, ProbeLimits{}, report);
    return report;
}

}  // namespace dln
