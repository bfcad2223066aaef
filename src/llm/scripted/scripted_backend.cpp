// Replies without a model. What a hash decides is fixed for good: tests and examples have the numbers.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <list>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "dln/error.hpp"
#include "dln/llm/scripted.hpp"

namespace dln {
namespace {

constexpr int kBytesPerToken = 4;
constexpr double kLowestLogProb = -6.0;

int tokens_of(std::string_view text) {
    const std::size_t tokens = (text.size() + kBytesPerToken - 1) / kBytesPerToken;
    return static_cast<int>(std::min<std::size_t>(tokens, std::numeric_limits<int>::max() / 4));
}

std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// The pieces that a target is scored in: words with the white space before them. Whatever white space
/// ends the target belongs to its last piece.
std::size_t count_pieces(std::string_view target) {
    constexpr std::string_view kSpace = " \t\r\n";
    std::size_t pieces = 0;
    for (std::size_t at = target.find_first_not_of(kSpace); at != std::string_view::npos;
         at = target.find_first_not_of(kSpace, at)) {
        ++pieces;
        at = std::min(target.find_first_of(kSpace, at), target.size());
    }
    return std::max<std::size_t>(pieces, 1);
}

std::vector<double> hashed_log_probs(std::string_view context, std::string_view target) {
    std::vector<double> log_probs(count_pieces(target));
    const std::uint64_t seed = hash_of(context, 1);
    for (std::size_t i = 0; i < log_probs.size(); ++i) {
        // 52 bits and a half: inside (0, 1), both ends excluded.
        const std::uint64_t bits = hash_of(target, seed + i) >> 12;
        log_probs[i] = kLowestLogProb * ((static_cast<double>(bits) + 0.5) * 0x1p-52);
    }
    return log_probs;
}

std::string hashed_sentence(std::string_view context, std::uint64_t seed) {
    constexpr std::array<std::string_view, 32> kWords{
        "answer",  "the",  "question", "with",   "one",      "word",     "read",  "carefully",
        "decide",  "if",   "input",    "is",     "positive", "negative", "first", "think",
        "about",   "each", "step",     "then",   "say",      "yes",      "or",    "no",
        "compare", "both", "parts",    "before", "you",      "choose",   "a",     "label"};
    const std::uint64_t base = hash_of(context, seed);
    const std::uint64_t length = 4 + base % 9;
    std::string sentence;
    for (std::uint64_t i = 0; i < length; ++i) {
        const std::uint64_t draw = XXH3_64bits_withSeed(&i, sizeof i, base);
        sentence += i == 0 ? "" : " ";
        sentence += kWords[draw % kWords.size()];
    }
    return sentence + ".";
}

void end_at_stop(std::string& text, const std::vector<std::string>& stops) {
    std::size_t end = text.size();
    for (const std::string& stop : stops) {
        end = std::min(end, text.find(stop));
    }
    text.resize(end);
}

/// Cuts `text` to `max_tokens`, not inside a UTF-8 character; true when there was more.
bool cut_to(std::string& text, int max_tokens) {
    if (tokens_of(text) <= max_tokens) {
        return false;
    }
    std::size_t end = static_cast<std::size_t>(std::max(max_tokens, 0)) * kBytesPerToken;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
        --end;
    }
    text.resize(end);
    return true;
}

/// Replies from a JSON lines file (format: include/dln/llm/scripted.hpp).
class ScriptedReplies {
  public:
    /// Throws UsageError naming file and line.
    [[nodiscard]] static ScriptedReplies read(const std::string& path);
    /// Which replies these are, for the backend's identity.
    [[nodiscard]] std::string identity() const;
    /// The continuation of `context`, if the file has one.
    [[nodiscard]] std::optional<std::string> text(std::string_view context) const;
    /// The log-probability of every token of `target` after `context`, if the file has one.
    [[nodiscard]] std::optional<double> log_prob(std::string_view context,
                                                 std::string_view target) const;

  private:
    struct TextLine {
        std::string match;
        std::string text;
    };
    struct ScoreLine {
        std::string match;
        std::string target;
        double log_prob = 0.0;
    };
    void add_line(const std::string& line, const std::string& place);

    std::uint64_t hash_ = 0;  // over all lines
    std::vector<TextLine> texts_;
    std::vector<ScoreLine> scores_;
};

std::string text_field(const nlohmann::json& object, const char* name, const std::string& place) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) {
        throw UsageError(fmt::format("{}: \"{}\" must be a text", place, name));
    }
    return found->get<std::string>();
}

void refuse_unknown_fields(const nlohmann::json& object, const std::string& place) {
    for (const auto& [name, value] : object.items()) {
        if (name != "match" && name != "text" && name != "target" && name != "log_prob") {
            throw UsageError(fmt::format(
                "{}: unknown field \"{}\". Expected match and text, or match, target and log_prob",
                place, name));
        }
    }
}

ScriptedReplies ScriptedReplies::read(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        throw UsageError(
            fmt::format("{}: cannot read the scripted replies: {}", path, std::strerror(errno)));
    }
    ScriptedReplies replies;
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            replies.add_line(line, fmt::format("{}:{}", path, number));
        }
    }
    if (file.bad()) {  // a directory, an I/O error
        throw UsageError(fmt::format("{}: cannot read the scripted replies", path));
    }
    return replies;
}

void ScriptedReplies::add_line(const std::string& line, const std::string& place) {
    hash_ = hash_of(line, hash_ + 1);
    nlohmann::json object;
    try {
        object = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& error) {
        throw UsageError(fmt::format("{}: {}", place, error.what()));
    }
    if (!object.is_object()) {
        throw UsageError(fmt::format("{}: each line must be a JSON object", place));
    }
    refuse_unknown_fields(object, place);
    if (object.contains("text") == object.contains("target")) {
        throw UsageError(fmt::format("{}: expected either \"text\" or \"target\"", place));
    }
    std::string match = text_field(object, "match", place);
    if (object.contains("text")) {
        texts_.push_back({std::move(match), text_field(object, "text", place)});
        return;
    }
    const auto log_prob = object.find("log_prob");
    if (log_prob == object.end() || !log_prob->is_number() || log_prob->get<double>() > 0.0) {
        throw UsageError(
            fmt::format("{}: \"log_prob\" must be a number that is not above 0", place));
    }
    scores_.push_back(
        {std::move(match), text_field(object, "target", place), log_prob->get<double>()});
}

std::string ScriptedReplies::identity() const {
    return texts_.empty() && scores_.empty() ? "hash" : fmt::format("replies xxh3:{:016x}", hash_);
}

std::optional<std::string> ScriptedReplies::text(std::string_view context) const {
    for (const TextLine& line : texts_) {
        if (context.find(line.match) != std::string_view::npos) {
            return line.text;
        }
    }
    return std::nullopt;
}

std::optional<double> ScriptedReplies::log_prob(std::string_view context,
                                                std::string_view target) const {
    for (const ScoreLine& line : scores_) {
        if (target == line.target && context.find(line.match) != std::string_view::npos) {
            return line.log_prob;
        }
    }
    return std::nullopt;
}

class ScriptedBackend final : public Backend {
  public:
    explicit ScriptedBackend(const ScriptedOptions& options) : options_(options) {
        if (!options.replies_path.empty()) {
            replies_ = ScriptedReplies::read(options.replies_path);
        }
        info_ = {.kind = "scripted",
                 .model = replies_.identity(),
                 .context_tokens = options.context_tokens,
                 .has_chat_template = true,
                 .description = options.replies_path.empty()
                                    ? "scripted backend, replies by hash"
                                    : "scripted backend, replies of " + options.replies_path};
    }

    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }

    void submit(std::uint64_t id, Request request) override {
        int polls = 1;
        if (options_.latency_polls > 0) {
            const auto most = static_cast<std::uint64_t>(options_.latency_polls);
            polls += static_cast<int>(XXH3_64bits(&id, sizeof id) % most);
        }
        pending_.push_back({id, std::move(request), polls});
    }

    std::vector<Completion> poll(std::chrono::milliseconds /*timeout*/) override {
        std::vector<Completion> completed;
        for (auto request = pending_.begin(); request != pending_.end();) {
            if (--request->polls_left > 0) {
                ++request;
                continue;
            }
            completed.push_back(answer(*request));
            request = pending_.erase(request);
        }
        if (options_.latency_polls > 0) {
            std::reverse(completed.begin(), completed.end());
        }
        return completed;
    }

    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return 1 + static_cast<std::size_t>(std::max(options_.latency_polls, 0));
    }

    int count_tokens(const Context& context) override { return tokens_of(context.text); }

  private:
    struct Pending {
        std::uint64_t id = 0;
        Request request;
        int polls_left = 1;
    };

    [[nodiscard]] Completion answer(const Pending& pending) const {
        Completion completion;
        completion.id = pending.id;
        if (const auto* score = std::get_if<ScoreRequest>(&pending.request)) {
            ScoreReply reply;
            for (const ScoreItem& item : score->items) {
                reply.scores.push_back(score_item(item, completion.usage));
            }
            completion.reply = std::move(reply);
        } else {
            const auto& request = std::get<GenerateRequest>(pending.request);
            GenerateReply reply;
            for (const GenerateItem& item : request.items) {
                reply.texts.push_back(generate_item(request, item, completion.usage));
            }
            completion.reply = std::move(reply);
        }
        Usage& usage = completion.usage;
        usage.evaluated_tokens = usage.standalone_tokens;  // nothing is shared
        usage.requests = usage.calls;
        usage.prompt_tokens = usage.evaluated_tokens - usage.generated_tokens;
        return completion;
    }

    [[nodiscard]] std::vector<TargetScore> score_item(const ScoreItem& item, Usage& usage) const {
        ++usage.calls;
        const std::string& context = item.context.text;
        const int context_tokens = tokens_of(context);
        bool counted = false;
        std::vector<TargetScore> scores;
        for (const std::string& target : item.targets) {
            TargetScore& score = scores.emplace_back();
            const int tokens = context_tokens + tokens_of(target);
            if (target.empty()) {
                score.error = "the target is empty";
            } else if (tokens > options_.context_tokens) {
                score.error = too_long(tokens);
            } else {
                score.token_log_probs = log_probs(context, target);
                usage.standalone_tokens += tokens_of(target) + (counted ? 0 : context_tokens);
                counted = true;
            }
        }
        return scores;
    }

    [[nodiscard]] std::vector<double> log_probs(const std::string& context,
                                                const std::string& target) const {
        if (const auto scripted = replies_.log_prob(context, target)) {
            return std::vector<double>(count_pieces(target), *scripted);
        }
        return hashed_log_probs(context, target);
    }

    [[nodiscard]] GeneratedText generate_item(const GenerateRequest& request,
                                              const GenerateItem& item,
                                              Usage& usage) const {
        ++usage.calls;
        GeneratedText generated;
        const int context_tokens = tokens_of(item.context.text);
        const int needed = context_tokens + std::max(request.max_tokens, 0);
        if (item.context.text.empty()) {
            generated.error = "the context is empty: nothing to continue";
            return generated;
        }
        if (needed > options_.context_tokens) {
            generated.error = too_long(needed);
            return generated;
        }
        const std::uint64_t seed = request.temperature == 0.0 ? 0 : item.seed;
        const auto scripted = replies_.text(item.context.text);
        generated.text = scripted ? *scripted : hashed_sentence(item.context.text, seed);
        end_at_stop(generated.text, request.stop);
        generated.cut = cut_to(generated.text, request.max_tokens);
        generated.tokens = tokens_of(generated.text);
        usage.standalone_tokens += context_tokens + generated.tokens;
        usage.generated_tokens += generated.tokens;
        return generated;
    }

    [[nodiscard]] std::string too_long(int tokens) const {
        return fmt::format("a context of {} tokens exceeds the {} of this backend", tokens,
                           options_.context_tokens);
    }

    ScriptedOptions options_;
    ScriptedReplies replies_;
    BackendInfo info_;
    std::list<Pending> pending_;
};

}  // namespace

std::unique_ptr<Backend> make_scripted_backend(const ScriptedOptions& options) {
    return std::make_unique<ScriptedBackend>(options);
}

}  // namespace dln
