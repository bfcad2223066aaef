#include "llm/http/server_facts.hpp"

#include <nlohmann/json.hpp>

namespace dln::http {

std::string facts_json(const ServerFacts& server) {
    const nlohmann::ordered_json json{{"format", 1},
                                      {"model", server.model},
                                      {"context_tokens", server.context_tokens},
                                      {"prompts_a_call", server.prompts_a_call},
                                      {"can_tokenise", server.can_tokenise},
                                      {"takes_tokens", server.takes_tokens},
                                      {"slots", server.slots},
                                      {"software", server.software}};
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string read_facts(const std::string& text, ServerFacts& server) {
    try {
        const nlohmann::json json = nlohmann::json::parse(text);
        if (json.at("format") != 1) return "another format than 1";
        server.model = json.at("model").get<std::string>();
        server.context_tokens = json.at("context_tokens").get<int>();
        server.prompts_a_call = json.value("prompts_a_call", server.prompts_a_call);
        server.can_tokenise = json.at("can_tokenise").get<bool>();
        server.takes_tokens = json.at("takes_tokens").get<bool>();
        server.slots = json.at("slots").get<int>();
        server.software = json.at("software").get<std::string>();
    } catch (const nlohmann::json::exception& error) {
        return error.what();
    }
    return {};
}

}  // namespace dln::http
