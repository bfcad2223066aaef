#pragma once
// A model of a small world in which no prompt knows all, and two together do.
//
// Inputs are of two kinds, colours and numbers. A prompt that asks about the one kind is right about all of it and
// guesses about the other: right about half of it, as sure as always. "Think." is right about two thirds of both kinds.
// So one prompt has at most three quarters; "Is it warm?" and "Is it even?" have all, if a gate tells colours from
// numbers. A model that is asked for a prompt writes about what it is shown: a prompt for one of the kinds among the
// examples, or one that asks for nothing of use.

#include <cmath>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/llm/backend.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/train/input_embeddings.hpp"

namespace dln::testing {

class MixtureWorld : public Backend {
  public:
    MixtureWorld() {
        info_ = {.kind = "scripted",
                 .model = "mixture world",
                 .context_tokens = 100'000,
                 .has_chat_template = false,
                 .description = "mixture world"};
    }

    static constexpr const char* kColours = "Is it warm?";
    static constexpr const char* kNumbers = "Is it even?";

    [[nodiscard]] static Dataset inputs(int count, int first = 0) {
        Dataset data;
        for (int i = first; i < first + count; ++i) {
            const std::string input = (i % 2 == 0 ? "colour " : "number ") + std::to_string(i);
            data.add(input, is_yes(input) ? "yes" : "no");
        }
        return data;
    }
    [[nodiscard]] static bool is_colour(std::string_view input) {
        return input.starts_with("colour");
    }

    /// Vectors that lie near those of their kind, each with much of its own.
    [[nodiscard]] static InputEmbeddings embeddings(const std::vector<Dataset>& splits) {
        constexpr std::size_t kDimension = 8;
        Embeddings rows{.dimension = kDimension, .values = {}, .failures = {}};
        std::vector<std::vector<std::size_t>> of_splits;
        std::size_t next = 0;
        for (const Dataset& split : splits) {
            auto& own = of_splits.emplace_back();
            for (std::size_t i = 0; i < split.size(); ++i) {
                CounterRng random({.seed = number(std::string(split[i].input))});
                for (std::size_t d = 0; d < kDimension; ++d) {
                    double value = 0.5 * (random.uniform() - 0.5);
                    if (d == 0) value += 1.0;  // what all have in common
                    if (d == 1) value += is_colour(split[i].input) ? 0.4 : -0.4;
                    rows.values.push_back(static_cast<float>(value));
                }
                own.push_back(next++);
            }
        }
        return {std::move(rows), std::move(of_splits)};
    }

    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override {
        pending_.push_back({id, std::move(request)});
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds /*timeout*/) override {
        std::vector<Completion> completed;
        for (const auto& [id, request] : pending_) completed.push_back(answer(id, request));
        pending_.clear();
        return completed;
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 4; }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return static_cast<int>(context.text.size());
    }

  private:
    static std::uint64_t number(const std::string& text) {
        std::uint64_t value = 14695981039346656037ULL;  // FNV-1a
        for (const char c : text) {
            value = (value ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        }
        return value;
    }
    static std::size_t choose(const std::string& text, std::size_t choices) {
        return CounterRng({.seed = number(text)}).below(choices);
    }
    static bool is_yes(const std::string& input) { return choose(input, 2) == 0; }

    static bool is_right(const std::string& prompt, const std::string& input) {
        if (prompt == kColours || prompt == kNumbers) {
            return is_colour(input) == (prompt == kColours) || choose(prompt + input, 2) == 0;
        }
        if (prompt == "Think.") return choose(prompt + input, 3) > 0;
        return choose(prompt + input, 2) == 0;
    }

    // Contexts are "<prompt>|<input>", requests for prompts "PROPOSE|<inputs>".
    static double log_prob(const std::string& context, std::string target) {
        target.erase(0, target.find_first_not_of(" \n"));
        const std::size_t at = context.find('|');
        const std::string input = context.substr(at + 1);
        const bool says_yes = is_yes(input) == is_right(context.substr(0, at), input);
        return std::log((target == "yes") == says_yes ? 0.9 : 0.1);
    }
    static std::string proposal(const GenerateItem& item) {
        std::vector<std::string> known{"Think.", "Be brief.", "Is it so?"};
        if (item.context.text.find("colour") != std::string::npos) known.emplace_back(kColours);
        if (item.context.text.find("number") != std::string::npos) known.emplace_back(kNumbers);
        return known[CounterRng({.seed = item.seed}).below(known.size())];
    }

    static Completion answer(std::uint64_t id, const Request& request) {
        Completion completion{.id = id, .reply = {}, .usage = {}};
        if (const auto* score = std::get_if<ScoreRequest>(&request)) {
            ScoreReply reply;
            for (const ScoreItem& item : score->items) {
                auto& scores = reply.scores.emplace_back();
                for (const std::string& target : item.targets) {
                    scores.push_back(
                        {.token_log_probs = {log_prob(item.context.text, target)}, .error = {}});
                }
            }
            completion.usage.calls = static_cast<std::int64_t>(score->items.size());
            completion.reply = std::move(reply);
            return completion;
        }
        GenerateReply reply;
        for (const GenerateItem& item : std::get<GenerateRequest>(request).items) {
            reply.texts.push_back({.text = proposal(item), .tokens = 1, .cut = false, .error = {}});
        }
        completion.reply = std::move(reply);
        return completion;
    }

    BackendInfo info_;
    std::list<std::pair<std::uint64_t, Request>> pending_;
};

}  // namespace dln::testing
