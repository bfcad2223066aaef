// Damaged replies of every kind: whatever a server sends, no crash, and no score that is not one.

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

/// Replies in the order in which a dialect needs them, for the fixtures' context and target.
struct Scene {
    const char* dialect;
    bool tokenises;
    bool takes_tokens;
    std::vector<std::string> replies;
    std::vector<double> scores = {-0.5, -2.25};
};

const std::vector<Scene>& scenes() {
    static const std::vector<Scene> all{
        {"openai", true, true, {"vllm_tokenize_context", "vllm_tokenize_target", "vllm_echo_ids"}},
        {"openai", false, true, {"vllm_echo_text", "vllm_echo_text_context"}},
        {"openai",
         true,
         false,
         {"llama_cpp_python_tokenize_context", "llama_cpp_python_tokenize_target",
          "llama_cpp_python_echo"},
         {-1.0360386371612549, -7.674923419952393}},
        {"together", false, true, {"together_echo", "together_echo_context"}},
        {"sglang",
         true,
         true,
         {"vllm_tokenize_context", "vllm_tokenize_target", "sglang_generate"}},
        {"tgi", true, true, {"tgi_tokenize_context", "tgi_tokenize_target", "tgi_prefill"}},
        {"llama-server",
         true,
         true,
         {"llama_server_tokenize_context", "llama_server_tokenize_target", "llama_server_forced_15",
          "llama_server_forced_16"}},
    };
    return all;
}

class Mutator {
  public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t end) { return random_() % end; }

    /// Bytes changed, cut, doubled or swapped for pieces that servers are known to send.
    std::string damage_bytes(std::string body) {
        static const std::vector<std::string> pieces{"null",
                                                     "NaN",
                                                     "-Infinity",
                                                     "1e400",
                                                     "-9999.0",
                                                     "\"\"",
                                                     "[",
                                                     "{",
                                                     "\\ud800",
                                                     "\xFF",
                                                     "-1",
                                                     "0.5",
                                                     "true",
                                                     "[]",
                                                     "{}",
                                                     "\0",
                                                     ",",
                                                     ":",
                                                     "18446744073709551616"};
        for (std::size_t n = 1 + below(3); n > 0 && !body.empty(); --n) {
            const std::size_t at = below(body.size());
            switch (below(4)) {
                case 0:
                    body[at] = static_cast<char>(below(256));
                    break;
                case 1:
                    body.resize(at);
                    break;
                case 2:
                    body.erase(at, 1 + below(8));
                    break;
                default:
                    body.replace(at, below(6), pieces[below(pieces.size())]);
                    break;
            }
        }
        return body;
    }

    /// Well-formed JSON with one value that is another, is gone or is there twice.
    std::string damage_value(const std::string& body) {
        Json json = Json::parse(body);
        static const std::vector<Json> values{
            nullptr,        0,      1,     -1, 0.5,   -9999.0,     "x", "", true, Json::array(),
            Json::object(), -1e308, 1e308, 7,  "nan", 2147483648LL};
        const Json flat = json.flatten();
        auto chosen = flat.begin();
        std::advance(chosen, static_cast<std::ptrdiff_t>(below(flat.size())));
        Json::json_pointer pointer(chosen.key());
        for (std::size_t up = below(3); up > 0 && !pointer.empty(); --up) {
            pointer = pointer.parent_pointer();
        }
        if (pointer.empty()) return values[below(values.size())].dump();
        Json& parent = json[pointer.parent_pointer()];
        if (parent.is_array() && below(2) == 0) {
            const auto at = static_cast<std::ptrdiff_t>(below(parent.size()));
            if (below(2) == 0) {
                parent.erase(parent.begin() + at);
            } else {
                const Json copy = parent[static_cast<std::size_t>(at)];
                parent.insert(parent.begin() + at, copy);
            }
        } else {
            json[pointer] = values[below(values.size())];
        }
        return json.dump();
    }

  private:
    std::mt19937 random_;  // the same numbers everywhere, unlike distributions
};

/// Plays a scene in which reply `damaged` is `body`; the good reply follows a malformed one.
std::vector<std::vector<TargetScore>> play(const Scene& scene,
                                           std::size_t damaged,
                                           const std::string& body) {
    Server server = by_tokens(Server(scene.dialect));
    server.facts.can_tokenise = scene.tokenises;
    server.facts.takes_tokens = scene.takes_tokens;
    Conversation talk = server.score(is_it_good());
    for (std::size_t i = 0; i < talk.calls().size() && !talk.done(); ++i) {
        EXPECT_LT(i, 200U) << "calls without end";
        const bool known = i < scene.replies.size();
        static_cast<void>(server.dialect->reply_model(body));
        Verdict verdict = i == damaged ? talk.take(i, body)
                          : known      ? talk.take_fixture(i, scene.replies[i])
                                       : talk.fail(i, 400, body);
        if (verdict.kind == kMalformed && known) verdict = talk.take_fixture(i, scene.replies[i]);
        if (verdict.kind == kMalformed) talk.fail(i, 0);
    }
    EXPECT_TRUE(talk.done());
    const Usage usage = talk.usage();
    EXPECT_GE(usage.evaluated_tokens, 0);
    return talk.scores();
}

void expect_clean(const std::vector<std::vector<TargetScore>>& scores, const std::string& body) {
    ASSERT_EQ(scores.size(), 1U);
    ASSERT_EQ(scores[0].size(), 1U);
    const TargetScore& score = scores[0][0];
    ASSERT_NE(score.ok(), score.token_log_probs.empty()) << body;
    for (const double value : score.token_log_probs) {
        ASSERT_TRUE(std::isfinite(value) && value <= 0.0 && value > -9998.0) << value << "\n"
                                                                             << body;
    }
}

TEST(DamagedReplies, UndamagedOnesGiveTheScore) {
    for (const Scene& scene : scenes()) {
        const auto scores = play(scene, scene.replies.size(), "");
        EXPECT_THAT(scores[0][0].token_log_probs, ::testing::ElementsAreArray(scene.scores))
            << scene.dialect << ": " << scores[0][0].error;
    }
}

TEST(DamagedReplies, NeverCrashNorGiveAScoreThatIsNone) {
    Mutator mutator(20'261'121);
    for (const Scene& scene : scenes()) {
        for (int round = 0; round < 1500; ++round) {
            const std::size_t damaged = mutator.below(scene.replies.size());
            const std::string good = fixture(scene.replies[damaged]);
            const std::string body =
                round % 2 == 0 ? mutator.damage_bytes(good) : mutator.damage_value(good);
            ASSERT_NO_THROW(expect_clean(play(scene, damaged, body), body)) << body;
        }
    }
}

TEST(DamagedReplies, NeverCrashWhatALearnsOrCounts) {
    Mutator mutator(7);
    for (const std::string& name : dialect_names()) {
        const auto dialect = make_dialect(name);
        const auto calls = dialect->describe();
        for (const char* file : {"vllm_models", "tgi_info", "llama_server_props",
                                 "vllm_tokenize_context", "tgi_tokenize_context"}) {
            for (int round = 0; round < 100; ++round) {
                const std::string good = fixture(file);
                const std::string body =
                    round % 2 == 0 ? mutator.damage_bytes(good) : mutator.damage_value(good);
                ServerFacts facts;
                ASSERT_NO_THROW(static_cast<void>(
                    dialect->learn(mutator.below(calls.size()), 200, body, facts)));
                ASSERT_GE(facts.context_tokens, 0) << body;
                ASSERT_NO_THROW(static_cast<void>(dialect->counted_tokens(body)));
            }
        }
    }
}

TEST(DamagedReplies, NeverCrashGeneration) {
    Mutator mutator(11);
    const std::vector<std::pair<std::string, std::string>> cases{
        {"openai", "vllm_completion"}, {"openai", "vllm_chat"}, {"tgi", "tgi_stop"}};
    for (const auto& [dialect, file] : cases) {
        for (int round = 0; round < 1000; ++round) {
            const std::string good = fixture(file);
            const std::string body =
                round % 2 == 0 ? mutator.damage_bytes(good) : mutator.damage_value(good);
            GenerateRequest request{.items = {{{.text = "a", .chat = file == "vllm_chat"}, 1}},
                                    .max_tokens = 8};
            Conversation talk = Server(dialect.c_str()).generate(request);
            ASSERT_NO_THROW({
                if (talk.take(0, body).kind == kMalformed) talk.fail(0, 0);
            }) << body;
            ASSERT_TRUE(talk.done());
            ASSERT_EQ(talk.texts().size(), 1U);
        }
    }
}

}  // namespace
}  // namespace dln::http
