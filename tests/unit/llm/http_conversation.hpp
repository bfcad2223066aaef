#pragma once
// An exchange and the calls that it handed out, for tests that play the server.

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "llm/http/dialect.hpp"

namespace dln::http {

using Json = nlohmann::json;

inline std::string fixture(const std::string& name) {
    std::ifstream file(std::string(DLN_HTTP_FIXTURES "/") + name + ".json", std::ios::binary);
    EXPECT_TRUE(file) << name;
    return {std::istreambuf_iterator<char>(file), {}};
}

inline Json fixture_json(const std::string& name) { return Json::parse(fixture(name)); }

/// The context and target of the fixtures.
inline ScoreRequest is_it_good(std::vector<std::string> targets = {"\nyes"}, bool chat = false) {
    return {{{.context = {.text = "Is it good?", .chat = chat}, .targets = std::move(targets)}}};
}

class Conversation {
  public:
    Conversation(std::shared_ptr<const Dialect> dialect, std::unique_ptr<Exchange> exchange)
        : dialect_(std::move(dialect)),
          exchange_(std::move(exchange)),
          calls_(exchange_->begin()) {}

    [[nodiscard]] const std::vector<Call>& calls() const { return calls_; }
    [[nodiscard]] Json body(std::size_t index) const { return Json::parse(calls_.at(index).body); }
    [[nodiscard]] const std::string& path(std::size_t index) const { return calls_.at(index).path; }

    Verdict take(std::size_t index, std::string_view body) {
        return noted(exchange_->take(index, body));
    }
    Verdict take_fixture(std::size_t index, const std::string& name) {
        return take(index, fixture(name));
    }
    Verdict fail(std::size_t index,
                 int status,
                 std::string_view body = {},
                 std::string_view reason = "gave up") {
        return noted(exchange_->fail(index, status, body, reason));
    }

    [[nodiscard]] bool done() const { return exchange_->done(); }
    [[nodiscard]] Usage usage() const { return exchange_->usage(); }
    [[nodiscard]] std::vector<std::vector<TargetScore>> scores() {
        return std::get<ScoreReply>(exchange_->take_reply()).scores;
    }
    [[nodiscard]] TargetScore score() { return scores().at(0).at(0); }
    [[nodiscard]] std::vector<Embedding> embeddings() {
        return std::get<EmbedReply>(exchange_->take_reply()).embeddings;
    }
    [[nodiscard]] std::vector<GeneratedText> texts() {
        return std::get<GenerateReply>(exchange_->take_reply()).texts;
    }

  private:
    Verdict noted(Verdict verdict) {
        calls_.insert(calls_.end(), verdict.more.begin(), verdict.more.end());
        return verdict;
    }

    std::shared_ptr<const Dialect> dialect_;
    std::unique_ptr<Exchange> exchange_;
    std::vector<Call> calls_;
};

/// A dialect with what is known of its server.
struct Server {
    explicit Server(const char* dialect_name) : dialect(make_dialect(dialect_name)) {
        facts.model = "m";
    }
    [[nodiscard]] Conversation score(ScoreRequest request) const {
        return {dialect, dialect->score(facts, std::move(request))};
    }
    [[nodiscard]] Conversation generate(GenerateRequest request) const {
        return {dialect, dialect->generate(facts, std::move(request))};
    }
    [[nodiscard]] Conversation embed(std::vector<std::string> texts) const {
        return {dialect, dialect->embed(facts, {.texts = std::move(texts)})};
    }
    std::shared_ptr<const Dialect> dialect;
    ServerFacts facts;
};

/// vLLM, as it is when it has been asked.
inline Server vllm() {
    Server server("openai");
    server.facts.can_tokenise = true;
    return server;
}

/// Texts of the fixtures may be too long for it, so that it is asked for their tokens first.
inline Server by_tokens(Server server) {
    server.facts.context_tokens = 10;
    return server;
}

/// The fields that all calls to servers of OpenAI's kind have when they score.
inline Json neutral(Json body) {
    body.update(Json::parse(R"({"temperature":0.0,"top_p":1.0,"top_k":1048576,"min_p":0.0,
        "repetition_penalty":1.0,"repeat_penalty":1.0,"presence_penalty":0.0,
        "frequency_penalty":0.0})"));
    return body;
}

/// A fixture with one value changed.
inline std::string changed(const std::string& name, const std::string& pointer, Json value) {
    Json json = fixture_json(name);
    json[Json::json_pointer(pointer)] = std::move(value);
    return json.dump();
}

MATCHER_P(HasKind, kind, "") {
    *result_listener << "kind " << static_cast<int>(arg.kind) << ": " << arg.reason;
    return arg.kind == kind;
}

MATCHER_P(FailsWith, part, "") {
    *result_listener << "error \"" << arg.error << "\"";
    return !arg.ok() && arg.error.find(part) != std::string::npos;
}

inline constexpr auto kTaken = Verdict::Kind::taken;
inline constexpr auto kMalformed = Verdict::Kind::malformed;
inline constexpr auto kRefused = Verdict::Kind::refused;
inline constexpr auto kBroken = Verdict::Kind::broken;

}  // namespace dln::http
