// What a dialect learns of a server before it is used.

#include <gtest/gtest.h>

#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The paths that a dialect asks in order to know its server.
std::vector<std::string> asked(const char* dialect) {
    std::vector<std::string> paths;
    for (const Call& call : make_dialect(dialect)->describe()) paths.push_back(call.path);
    return paths;
}

std::string learn(const Server& server,
                  std::size_t index,
                  const std::string& body,
                  ServerFacts& facts) {
    return server.dialect->learn(index, 200, body, facts);
}

TEST(Dialects, AllHaveTheirNames) {
    EXPECT_THAT(dialect_names(),
                ElementsAre("openai", "openai-chat", "together", "sglang", "tgi", "llama-server"));
    for (const std::string& name : dialect_names()) EXPECT_EQ(make_dialect(name)->name(), name);
    EXPECT_EQ(make_dialect("ollama"), nullptr);
}

TEST(Describe, VllmTakesTokenIds) {
    EXPECT_THAT(asked("openai"),
                ElementsAre("/v1/models", "/tokenize", "/extras/tokenize", "/version"));
    const Server server("openai");
    ServerFacts facts;
    EXPECT_EQ(learn(server, 0, fixture("vllm_models"), facts), "");
    EXPECT_EQ(learn(server, 1, fixture("vllm_tokenize_context"), facts), "");
    EXPECT_EQ(server.dialect->learn(2, 404, "", facts), "");
    EXPECT_EQ(facts.model, "Qwen/Qwen2.5-7B");
    EXPECT_EQ(facts.context_tokens, 4096);
    EXPECT_EQ(learn(server, 3, fixture("vllm_version"), facts), "");
    EXPECT_EQ(facts.software, "vllm 0.10.2");
    EXPECT_TRUE(facts.can_tokenise && facts.takes_tokens);
}

TEST(Describe, VllmsAdaptersHaveTheLengthThatItsTokeniserSays) {
    const Server server("openai");
    ServerFacts facts{.model = "tuned"};
    EXPECT_EQ(learn(server, 0, fixture("vllm_models_adapter"), facts), "");
    EXPECT_EQ(facts.context_tokens, 0);
    EXPECT_EQ(learn(server, 1, fixture("vllm_tokenize_context"), facts), "");
    EXPECT_EQ(facts.context_tokens, 4096);
}

TEST(Describe, LengthThatSglangsTokeniserSaysIsNotBelieved) {
    const Server server("openai");
    ServerFacts facts{.software = "sglang"};
    EXPECT_EQ(learn(server, 1, fixture("sglang_tokenize_chat"), facts), "");
    EXPECT_TRUE(facts.can_tokenise);
    EXPECT_EQ(facts.context_tokens, 0);
}

TEST(Describe, LlamaCppPythonOnlyCountsAndTakesOnePromptACall) {
    const Server server("openai");
    ServerFacts facts{.prompts_a_call = 8};
    EXPECT_EQ(server.dialect->learn(1, 404, R"({"detail":"Not Found"})", facts), "");
    EXPECT_EQ(learn(server, 2, fixture("llama_cpp_python_tokenize_context"), facts), "");
    EXPECT_TRUE(facts.can_tokenise);
    EXPECT_FALSE(facts.takes_tokens);
    EXPECT_EQ(facts.prompts_a_call, 1U);
}

TEST(Describe, TokeniserThatGivesNoTokensIsNone) {
    const Server server("openai");
    ServerFacts facts;
    EXPECT_EQ(learn(server, 1, R"({"tokens":[]})", facts), "");  // llama-server's
    EXPECT_FALSE(facts.can_tokenise);
}

TEST(Describe, UnknownModelListsThoseThereAre) {
    const Server server("openai");
    ServerFacts facts{.model = "Qwen/Qwen2.5-7b"};
    EXPECT_THAT(learn(server, 0, fixture("vllm_models"), facts),
                HasSubstr("It has: Qwen/Qwen2.5-7B. Did you mean \"Qwen/Qwen2.5-7B\"?"));
}

TEST(Describe, OneOfSeveralModelsMustBeNamed) {
    const std::string body = R"({"data":[{"id":"a","max_model_len":10},{"id":"b"}]})";
    const Server server("openai");
    ServerFacts facts;
    EXPECT_THAT(learn(server, 0, body, facts), HasSubstr("name one of them: a, b"));
    facts.model = "a";
    EXPECT_EQ(learn(server, 0, body, facts), "");
    EXPECT_EQ(facts.context_tokens, 10);
}

TEST(Describe, ModelListsThatAreNoneAreErrors) {
    const Server server("openai");
    for (const char* body : {"", "[]", "{}", R"({"data":[]})", R"({"data":7})", "<html>"}) {
        ServerFacts facts;
        EXPECT_NE(learn(server, 0, body, facts), "") << body;
    }
    ServerFacts facts;
    EXPECT_THAT(server.dialect->learn(0, 401, R"({"error":"no key"})", facts),
                HasSubstr("HTTP 401: no key"));
}

TEST(Describe, TogetherListsModelsBare) {
    const Server server("together");
    ServerFacts facts{.model = "org/small"};
    EXPECT_EQ(learn(server, 0, fixture("together_models"), facts), "");
    EXPECT_EQ(facts.context_tokens, 8192);
}

TEST(Describe, SglangTokenises) {
    EXPECT_THAT(asked("sglang"), ElementsAre("/v1/models", "/tokenize", "/tokenize"));
    const Server server("sglang");
    ServerFacts facts;
    EXPECT_EQ(learn(server, 1, fixture("sglang_tokenize_context"), facts), "");
    EXPECT_TRUE(facts.can_tokenise);
    EXPECT_EQ(server.dialect->learn(2, 400, R"({"message":"Field required"})", facts), "");
    EXPECT_FALSE(facts.renders_chat);
    EXPECT_EQ(learn(server, 2, fixture("sglang_tokenize_chat"), facts), "");
    EXPECT_TRUE(facts.renders_chat);
}

TEST(Describe, TgiSaysModelAndLength) {
    EXPECT_THAT(asked("tgi"), ElementsAre("/info", "/tokenize"));
    const Server server("tgi");
    ServerFacts facts;
    EXPECT_EQ(learn(server, 0, fixture("tgi_info"), facts), "");
    EXPECT_EQ(learn(server, 1, fixture("tgi_tokenize_context"), facts), "");
    EXPECT_EQ(facts.model, "bigscience/bloom-560m");
    EXPECT_EQ(facts.context_tokens, 1023);  // of the prompt, which is what is scored
    EXPECT_EQ(facts.software, "tgi 3.3.4");
    EXPECT_TRUE(facts.can_tokenise);
    ServerFacts older;
    EXPECT_EQ(learn(server, 0, fixture("tgi_info_older"), older), "");
    EXPECT_EQ(older.context_tokens, 1023);
    facts.model = "other";
    EXPECT_THAT(learn(server, 0, fixture("tgi_info"), facts), HasSubstr("no model \"other\""));
}

TEST(Describe, LlamaServerSaysSlotsAndLength) {
    EXPECT_THAT(asked("llama-server"), ElementsAre("/v1/models", "/props", "/tokenize"));
    const Server server("llama-server");
    ServerFacts facts;
    EXPECT_EQ(learn(server, 1, fixture("llama_server_props"), facts), "");
    EXPECT_EQ(learn(server, 2, fixture("llama_server_tokenize_context"), facts), "");
    EXPECT_EQ(facts.slots, 4);
    EXPECT_EQ(facts.context_tokens, 2048);
    EXPECT_EQ(facts.software, "llama-server b6000-abc");
    EXPECT_THAT(server.dialect->learn(2, 404, "", facts), HasSubstr("is this llama-server?"));
}

TEST(CountTokens, AsksTheTokeniserWhereThereIsOne) {
    const Context plain{.text = "Is it good?"};
    const Context chat{.text = "Is it good?", .chat = true};
    const auto count = [](const char* dialect, const Context& context, bool tokenises) {
        Server server(dialect);
        server.facts.can_tokenise = tokenises;
        const auto call = server.dialect->count_tokens(server.facts, context);
        return call ? call->path + " " + call->body : "";
    };
    EXPECT_THAT(count("openai", plain, true), HasSubstr(R"("prompt":"Is it good?")"));
    EXPECT_THAT(count("openai", chat, true), HasSubstr(R"("add_generation_prompt":true)"));
    EXPECT_THAT(count("sglang", plain, true), HasSubstr("/tokenize"));
    EXPECT_THAT(count("tgi", plain, true), HasSubstr("/tokenize"));
    EXPECT_THAT(count("llama-server", plain, false), HasSubstr("/tokenize"));
    for (const char* dialect : {"openai", "openai-chat", "together", "sglang", "tgi"}) {
        EXPECT_THAT(count(dialect, plain, false), IsEmpty()) << dialect;
    }
    for (const char* dialect : {"sglang", "tgi", "llama-server", "together"}) {
        EXPECT_THAT(count(dialect, chat, true), IsEmpty()) << dialect;
    }
}

TEST(CountTokens, ReadsTheReply) {
    const auto counted = [](const char* dialect, const std::string& body) {
        return make_dialect(dialect)->counted_tokens(body);
    };
    EXPECT_EQ(counted("openai", fixture("vllm_tokenize_context")), 4);
    EXPECT_EQ(counted("tgi", fixture("tgi_tokenize_context")), 5);
    EXPECT_EQ(counted("llama-server", fixture("llama_server_tokenize_context")), 4);
    for (const std::string& name : dialect_names()) {
        EXPECT_EQ(counted(name.c_str(), "{"), std::nullopt) << name;
    }
}

TEST(ReplyModel, IsTheOneThatTheReplyNames) {
    for (const std::string& name : dialect_names()) {
        const auto dialect = make_dialect(name);
        EXPECT_EQ(dialect->reply_model(fixture("vllm_echo_ids")), "Qwen/Qwen2.5-7B") << name;
        EXPECT_EQ(dialect->reply_model(fixture("sglang_generate")), "") << name;
        EXPECT_EQ(dialect->reply_model("<html>"), "") << name;
    }
}

}  // namespace
}  // namespace dln::http
