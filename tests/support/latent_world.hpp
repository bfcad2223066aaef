#pragma once
// A model of a small world in which one call cannot answer, and two or three in a row can.
//
// Things have a colour, a shape and a size; each of these words calls up some others (red: warm, loud, short).
// The right answer is yes for things whose colour is warm. A call knows one thing only: which attribute of a
// thing its prompt asks for, or which property of a word, or what follows from a word. No prompt tells anything
// of the answer from the thing itself: its classes are equally probable. So a network of one layer is at chance
// whatever its prompt, one of two layers needs "Name the colour." and "Is it a warm colour?", and one of three
// layers "Name the colour.", "Name its warmth." and "Does it say warm?".
//
// "Answer yes or no.", which asks for nothing in particular, has a slight sense of what some words have to do with
// the answer: without any, nothing could be learned from a first step. It is wrong about others.

#include <array>
#include <cmath>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/error.hpp"
#include "dln/llm/backend.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln::testing {

class LatentWorld : public Backend {
  public:
    /// `layers` is 2 or 3. Templates (see job()): "L<layer>|<prompt>|<input>", posterior samples
    /// "Q|<prompt>|<input>|<target>", proposals "PROPOSE|...".
    explicit LatentWorld(std::size_t layers) : layers_(layers) {
        info_ = {.kind = "scripted",
                 .model = "latent world",
                 .context_tokens = 100'000,
                 .has_chat_template = false,
                 .description = "latent world"};
    }

    [[nodiscard]] static Dataset things(int count, int first = 0) {
        Dataset data;
        for (int i = first; i < first + count; ++i) {
            const std::string name = "thing " + std::to_string(i);
            data.add(name, is_warm(attribute(name, "colour")) ? "yes" : "no");
        }
        return data;
    }

    /// The prompts that solve the task, first layer first.
    [[nodiscard]] std::vector<std::string> solution() const {
        if (layers_ == 2) return {"Name the colour.", "Is it a warm colour?"};
        return {"Name the colour.", "Name its warmth.", "Does it say warm?"};
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
    using Words = std::vector<std::string>;

    static std::vector<std::string> split(const std::string& text) {
        std::vector<std::string> parts(1);
        for (const char c : text) {
            if (c == '|') {
                parts.emplace_back();
            } else {
                parts.back() += c;
            }
        }
        return parts;
    }

    /// An even choice that depends on the text alone.
    static std::size_t choose(const std::string& text, std::size_t choices) {
        return CounterRng({.seed = number(text)}).below(choices);
    }
    static std::uint64_t number(const std::string& text) {
        std::uint64_t value = 14695981039346656037ULL;  // FNV-1a
        for (const char c : text) {
            value = (value ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        }
        return value;
    }

    static const std::map<std::string, Words>& attributes() {
        static const std::map<std::string, Words> known{
            {"colour", {"red", "orange", "blue", "green"}},
            {"shape", {"ball", "cube", "cone", "disc"}},
            {"size", {"tiny", "small", "large", "huge"}}};
        return known;
    }
    static bool is_warm(const std::string& word) { return word == "red" || word == "orange"; }

    static std::string attribute(const std::string& thing, const std::string& name) {
        const Words& values = attributes().at(name);
        return values[choose(name + "/" + thing, values.size())];
    }
    static std::optional<std::string> attribute_of_word(const std::string& word) {
        for (const auto& [name, values] : attributes()) {
            for (const std::string& value : values) {
                if (value == word) return name;
            }
        }
        return std::nullopt;
    }
    /// What a word calls up: of a colour its warmth, of every word something that tells nothing.
    static std::string property(const std::string& word, const std::string& name) {
        if (name == "warmth" && attribute_of_word(word) == "colour") {
            return is_warm(word) ? "warm" : "cold";
        }
        return name + "-" + std::to_string(choose(name + word, 4));
    }

    /// Prompts that ask for something, and for what.
    static const std::map<std::string, std::string>& questions() {
        static const std::map<std::string, std::string> known{
            {"Name the colour.", "colour"}, {"Name the shape.", "shape"},
            {"Name the size.", "size"},     {"Name its warmth.", "warmth"},
            {"Name its weight.", "weight"}, {"Name its age.", "age"}};
        return known;
    }
    static const Words& pool() {
        static const Words known{"Name the colour.",     "Name the shape.",   "Name the size.",
                                 "Name its warmth.",     "Name its weight.",  "Name its age.",
                                 "Is it a warm colour?", "Is it round?",      "Is it big?",
                                 "Does it say warm?",    "Does it say cold?", "Be brief."};
        return known;
    }

    /// What a hidden layer says when its prompt asks for nothing that the input has.
    static std::string said(const std::string& prompt, const std::string& input) {
        const auto question = questions().find(prompt);
        if (question == questions().end()) return "something";
        const std::string& name = question->second;
        const bool is_thing = input.starts_with("thing ");
        if (is_thing && attributes().contains(name)) return attribute(input, name);
        if (!is_thing && !attributes().contains(name)) return property(input, name);
        return "nothing";
    }
    /// All that may be thought of an input.
    static Words thoughts(const std::string& input) {
        if (input.starts_with("thing ")) {
            return {attribute(input, "colour"), attribute(input, "shape"),
                    attribute(input, "size")};
        }
        return {property(input, "warmth"), property(input, "weight"), property(input, "age")};
    }

    /// p(yes) of the last layer. The vague prompt is sure of one word on each side and wrong about the other.
    [[nodiscard]] double yes(const std::string& prompt, const std::string& input) const {
        constexpr double kSure = 0.95;
        const bool is_known = layers_ == 2 ? attribute_of_word(input) == "colour"
                                           : input == "warm" || input == "cold";
        if (!is_known) return 0.5;
        const bool is_yes = layers_ == 2 ? is_warm(input) : input == "warm";
        const char* const right = layers_ == 2 ? "Is it a warm colour?" : "Does it say warm?";
        if (prompt == right) return is_yes ? kSure : 1.0 - kSure;
        if (layers_ == 3 && prompt == "Does it say cold?") return is_yes ? 1.0 - kSure : kSure;
        if (prompt != "Answer yes or no.") return 0.5;
        if (input == "red" || input == "warm") return 0.8;
        return input == "blue" ? 0.2 : is_yes ? 0.45 : 0.55;
    }

    [[nodiscard]] double log_prob(const std::string& context, std::string target) const {
        target.erase(0, target.find_first_not_of(" \n"));
        const std::vector<std::string> parts = split(context);
        const std::size_t layer = static_cast<std::size_t>(parts.at(0).at(1) - '0');
        if (layer + 1 == layers_) {
            const double p = yes(parts.at(1), parts.at(2));
            return std::log(target == "yes" ? p : 1.0 - p);
        }
        if (target == said(parts.at(1), parts.at(2))) return -0.1;
        // A thought is likelier after no question at all than after one for something else.
        return questions().contains(parts.at(1)) ? -3.0 : -2.0;
    }

    [[nodiscard]] static std::string continuation(const GenerateItem& item) {
        const std::vector<std::string> parts = split(item.context.text);
        CounterRng random({.seed = item.seed, .step = number(item.context.text)});
        if (parts.at(0) == "PROPOSE") return pool()[random.below(pool().size())];
        if (parts.at(0) == "Q") {
            const Words all = thoughts(parts.at(2));
            return all[random.below(all.size())];
        }
        return said(parts.at(1), parts.at(2));
    }

    [[nodiscard]] Completion answer(std::uint64_t id, const Request& request) const {
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
        const auto& generate = std::get<GenerateRequest>(request);
        for (const GenerateItem& item : generate.items) {
            reply.texts.push_back(
                {.text = continuation(item), .tokens = 1, .cut = false, .error = {}});
        }
        completion.usage.calls = static_cast<std::int64_t>(generate.items.size());
        completion.reply = std::move(reply);
        return completion;
    }

    std::size_t layers_;
    BackendInfo info_;
    std::list<std::pair<std::uint64_t, Request>> pending_;
};

}  // namespace dln::testing
