#include "llm/http/prompt_tokeniser.hpp"

namespace dln::http {

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
    if (renders_chat_ && server.takes_tokens) return {};
    return "this server's tokeniser renders no chat, so chat contexts cannot be scored with it; "
           "use "
           "vLLM (openai) or llama-server, or write the template without chat";
}

Call PromptTokeniser::render(const ServerFacts& server,
                             std::string_view text,
                             const RenderedChat& so_far) const {
    if (so_far.tokens.empty()) {
        const Json message{{"role", "user"}, {"content", text}};
        return {.path = "/tokenize",
                .body = body_of({{"model", server.model},
                                 {"messages", Json::array({message})},
                                 {"add_generation_prompt", true},
                                 {"add_special_tokens", false}})};
    }
    return {.path = "/detokenize",
            .body = body_of({{"model", server.model}, {"tokens", so_far.tokens}})};
}

bool PromptTokeniser::read_rendered(const Json& reply, RenderedChat& so_far) const {
    if (so_far.tokens.empty()) {
        auto tokens = read_tokens(reply);
        if (!tokens || tokens->empty()) return false;
        so_far.tokens = std::move(*tokens);
        return true;
    }
    const std::string* text = text_of(member(reply, "prompt"));
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
    if (token_list(member(parse_reply(body).value, "tokens"))) server.can_tokenise = true;
}

}  // namespace dln::http
