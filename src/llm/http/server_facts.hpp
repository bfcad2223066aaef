#pragma once
// What a server said of itself, as a run keeps it (server.json), so that the run can be replayed without
// the server. Holds no key. Pure.

#include <string>

#include "llm/http/dialect.hpp"

namespace dln::http {

/// What the job does not say: model, context length, prompts a call (fewer than the job allows where the
/// server takes no lists), tokeniser, slots, software.
[[nodiscard]] std::string facts_json(const ServerFacts& server);

/// Puts it into `server`; returns what is wrong with the text, empty when nothing is.
[[nodiscard]] std::string read_facts(const std::string& text, ServerFacts& server);

}  // namespace dln::http
