#pragma once
// The dialects there are, each in a file of its own.

#include <memory>

#include "llm/http/dialect.hpp"

namespace dln::http {

/// vLLM, llama-cpp-python, SGLang's OpenAI path and others that echo a prompt with log-probabilities.
[[nodiscard]] std::unique_ptr<Dialect> make_openai_dialect();
/// Chat completions alone, for generation.
[[nodiscard]] std::unique_ptr<Dialect> make_openai_chat_dialect();
/// OpenAI's /v1/embeddings alone.
[[nodiscard]] std::unique_ptr<Dialect> make_openai_embeddings_dialect();
/// Together: echoed scores come in a list beside the choices.
[[nodiscard]] std::unique_ptr<Dialect> make_together_dialect();
/// SGLang's own /generate, which keeps its prefix cache while scoring.
[[nodiscard]] std::unique_ptr<Dialect> make_sglang_dialect();
/// Text Generation Inference.
[[nodiscard]] std::unique_ptr<Dialect> make_tgi_dialect();
/// llama.cpp's llama-server, by forced tokens.
[[nodiscard]] std::unique_ptr<Dialect> make_llama_server_dialect();

}  // namespace dln::http
