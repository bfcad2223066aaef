#include "dln/llm/probe.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dln {
namespace {

// Ordinary English of several lengths; nothing here is data of anybody's task.
const std::vector<std::string>& probe_texts() {
    static const std::vector<std::string> texts{
        "The train to the coast leaves at nine. Is this about travel or about food?\n",
        "She planted beans along the wall and watered them every evening. Travel or food?\n",
        "Bread\n",
        "What do you call a person who repairs shoes and boots for a living in a small town?\n",
        "After the rain had stopped, the children went out to look for snails.\n",
        "Two and two make\n",
        "A letter from the bank\n",
        "The old bridge was closed for repairs last winter, so we took the ferry.\n"};
    return texts;
}

const std::vector<std::string>& probe_targets() {
    static const std::vector<std::string> targets{"travel", "food", " neither of them, I think"};
    return targets;
}

ScoreRequest request_for(std::size_t first, std::size_t count) {
    ScoreRequest request;
    for (std::size_t i = first; i < first + count; ++i) {
        request.items.push_back({{.text = probe_texts()[i]}, probe_targets()});
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

std::vector<double> sums_in_blocks(Backend& backend, std::size_t block, std::string& error) {
    std::vector<double> all;
    for (std::size_t first = 0; first < probe_texts().size(); first += block) {
        const std::vector<double> part = sums(backend, request_for(first, block), error);
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

// The greedy token must be the best scored among it and other continuations: catches scores that are
// shifted by a token, and servers that ignore what they were asked to score.
ProbeCheck check_agreement(Backend& backend) {
    ProbeCheck check{.name = "generation agrees with scoring", .ok = true, .detail = {}};
    if (backend.info().kind == "scripted") {
        check.detail = "not asked: scripted replies come from no model";
        return check;
    }
    std::size_t compared = 0;
    std::size_t better = 0;  // than another continuation, strictly
    // No white space at the end: it would merge with the first token of a continuation.
    for (const char* beginning : {"The opposite of hot is", "Monday, Tuesday, Wednesday,",
                                  "One, two, three, four,", "The sun rises in the"}) {
        const Context context{.text = beginning};
        const Completion greedy =
            run_request(backend, GenerateRequest{.items = {{context, 1}}, .max_tokens = 1});
        const GeneratedText text = std::get<GenerateReply>(greedy.reply).texts.front();
        if (!text.ok() || text.text.empty()) continue;
        std::vector<std::string> targets{text.text};
        for (const std::string other : {"Q", "zebra", " 7", "]"}) {
            if (other != text.text) targets.push_back(other);
        }
        const Completion scored = run_request(backend, ScoreRequest{.items = {{context, targets}}});
        const auto& scores = std::get<ScoreReply>(scored.reply).scores.front();
        if (!scores[0].ok()) continue;
        ++compared;
        for (std::size_t t = 1; t < scores.size(); ++t) {
            if (!scores[t].ok()) continue;
            if (scores[0].token_log_probs.front() > scores[t].token_log_probs.front()) ++better;
            if (scores[0].token_log_probs.front() < scores[t].token_log_probs.front()) {
                check.ok = false;
                check.detail = fmt::format(
                    "the greedy token \"{}\" scores {:.3f}, below \"{}\" with {:.3f}: scores do "
                    "not "
                    "belong to the tokens they are given for, so training on them is refused",
                    text.text, scores[0].token_log_probs.front(), targets[t],
                    scores[t].token_log_probs.front());
                return check;
            }
        }
    }
    if (better == 0) {
        check.ok = false;
        check.detail = compared == 0
                           ? "no generated token could be scored after its context"
                           : "all continuations score the same: scores do not belong to the tokens "
                             "they are given for, so training on them is refused";
        return check;
    }
    check.detail = fmt::format("{} greedy tokens are the best scored", compared);
    return check;
}

ProbeCheck check_too_long(Backend& backend) {
    std::string text;
    const int limit = backend.info().context_tokens;
    while (text.size() < static_cast<std::size_t>(limit) * 6 + 64) text += "one more word and ";
    std::string error;
    const std::vector<double> scores =
        sums(backend, ScoreRequest{.items = {{{.text = text}, {"end"}}}}, error);
    if (scores.empty()) return {"a context that is too long is refused", true, error};
    return {"a context that is too long is refused", false,
            fmt::format("a text far beyond {} tokens was scored: it was cut silently", limit)};
}

}  // namespace

bool ProbeReport::ok() const {
    return std::ranges::all_of(checks, [](const ProbeCheck& check) { return check.ok; });
}

ProbeReport probe_backend(Backend& backend) {
    using Clock = std::chrono::steady_clock;
    ProbeReport report;
    report.info = backend.info();
    std::string error;
    const std::size_t whole = probe_texts().size();
    const std::vector<double> first = sums_in_blocks(backend, whole, error);
    report.checks.push_back(
        {"targets can be scored", !first.empty(),
         first.empty() ? error : fmt::format("{} targets scored", first.size())});
    if (first.empty()) return report;

    const Clock::time_point start = Clock::now();
    constexpr int kRepeats = 4;
    double repeated = 0.0;
    for (int i = 0; i < kRepeats; ++i) {
        repeated = std::max(repeated, spread(first, sums_in_blocks(backend, whole, error)));
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report.scored_items_per_second = static_cast<double>(kRepeats * whole) / seconds;
    const double alone = spread(first, sums_in_blocks(backend, 1, error));
    const double in_twos = spread(first, sums_in_blocks(backend, 2, error));
    report.noise_floor = std::max({repeated, alone, in_twos});
    report.checks.push_back({"the same request gives the same scores", true,
                             fmt::format("spread over five {:.2g} nats", repeated)});
    report.checks.push_back(
        {"scores do not depend on their company", report.noise_floor < 0.1,
         fmt::format("alone, in twos and in eights differ by at most {:.2g} "
                     "nats{}",
                     std::max(alone, in_twos),
                     report.noise_floor < 0.1 ? ""
                                              : ": candidates closer than this cannot be told "
                                                "apart; use unquantised weights (f32 or f16)")});
    report.checks.push_back(check_agreement(backend));
    report.checks.push_back(check_too_long(backend));

    const Clock::time_point generating = Clock::now();
    GenerateRequest request{.items = {}, .max_tokens = 16, .temperature = 1.0};
    for (std::uint64_t i = 0; i < 4; ++i) request.items.push_back({{.text = probe_texts()[i]}, i});
    const Completion generated = run_request(backend, std::move(request));
    report.generated_tokens_per_second =
        static_cast<double>(generated.usage.generated_tokens) /
        std::chrono::duration<double>(Clock::now() - generating).count();
    return report;
}

}  // namespace dln
