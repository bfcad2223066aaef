#include "llm/http/prompt_tokeniser.hpp"

namespace dln::http {
namespace {

/// SGLang renders messages as its chat path does only when it is told nothing of how to; vLLM's older
/// versions want to be told.
Json chat_body(const ServerFacts& server, std::string_view text) {
    const Json message{{"role", "user"}, {"content", text}};
    Json body{{"model", server.model}, {"messages", Json::array({message})}};
    if (server.software != "sglang") {
        body["add_generation_prompt"] = true;
        body["add_special_tokens"] = false;
    }
    return body;
}

}  // namespace

Call PromptTokeniser::tokenise(const ServerFacts& server,
                               std::string_view text,
                               bool is_rendered) const {
    if (!server.takes_tokens) {
        return {.path = "/extras/tokenize", .body = body_of({{"input", text}})};
    }
    // The template's text has its begin-of-sequence token already.
    return {.path = "/tokenize",
            .body = body_of(
                {{"model", server.model}, {"prompt", text}, {"add_special_tokens", !is_rendered}})};
}

std::optional<std::vector<TokenId>> PromptTokeniser::read_tokens(const Json& reply) const {
    return token_list(member(reply, "tokens"));
}

std::string PromptTokeniser::why_no_chat(const ServerFacts& server) const {
    if ((renders_chat_ || server.renders_chat) && server.takes_tokens) return {};
    return "this server's tokeniser renders no chat, so chat contexts cannot be scored with it; "
           "use vLLM (openai), a newer SGLang (sglang) or llama-server, or write the template "
           "without chat";
}

Call PromptTokeniser::render(const ServerFacts& server,
                             std::string_view text,
                             const RenderedChat& so_far) const {
    if (so_far.tokens.empty()) {
        return {.path = "/tokenize", .body = body_of(chat_body(server, text))};
    }
    // SGLang leaves control tokens out unless told not to; vLLM never does.
    return {
        .path = "/detokenize",
        .body = body_of(
            {{"model", server.model}, {"tokens", so_far.tokens}, {"skip_special_tokens", false}})};
}

bool PromptTokeniser::read_rendered(const Json& reply, RenderedChat& so_far) const {
    if (so_far.tokens.empty()) {
        auto tokens = read_tokens(reply);
        if (!tokens || tokens->empty()) return false;
        so_far.tokens = std::move(*tokens);
        return true;
    }
    const std::string* text = text_of(member(reply, "prompt"));  // vLLM
    if (text == nullptr) text = text_of(member(reply, "text"));  // SGLang
    if (text == nullptr || text->empty()) return false;
    so_far.text = *text;
    so_far.has_text = true;
    return true;
}

Call ask_for_tokenise() {
    return {.path = "/tokenize", .body = body_of({{"prompt", "a"}, {"add_special_tokens", true}})};
}

void learn_tokenise(int status, std::string_view body, ServerFacts& server) {
    if (status != 200) return;
    const auto tokens = token_list(member(parse_reply(body).value, "tokens"));
    // llama-server has no field "prompt" and gives no tokens.
    if (tokens && !tokens->empty()) server.can_tokenise = true;
}

Call ask_for_rendering() {
    return {.path = "/tokenize",
            .body = body_of({{"messages", Json::array({{{"role", "user"}, {"content", "a"}}})}})};
}

void learn_rendering(int status, std::string_view body, ServerFacts& server) {
    if (status != 200) return;
    const auto tokens = token_list(member(parse_reply(body).value, "tokens"));
    server.renders_chat = tokens && !tokens->empty();
}

}  // namespace dln::http
