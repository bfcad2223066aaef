#pragma once
// Embeddings: texts are sent in lists to OpenAI's /v1/embeddings, and what comes back is checked. Pure.

#include "llm/http/dialect.hpp"

namespace dln::http {

[[nodiscard]] std::unique_ptr<Exchange> make_embed_exchange(const ServerFacts& server,
                                                            EmbedRequest request);

}  // namespace dln::http
