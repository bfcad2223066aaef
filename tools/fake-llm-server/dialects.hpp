#pragma once
// One function for each thing that the imitated servers can do. All throw Refusal.

#include <map>
#include <vector>

#include "request.hpp"

namespace fake_llm {

// openai.cpp: vLLM's /v1/completions, and what others make of it.
[[nodiscard]] Answer openai_completions(const Backstage& backstage, const Call& call);
// chat.cpp
[[nodiscard]] Answer chat_completions(const Backstage& backstage, const Call& call);
// helpers.cpp: tokens, models, embeddings
[[nodiscard]] Answer models(const Backstage& backstage);
[[nodiscard]] Answer tokenize(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer detokenize(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer extras_tokenize(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer apply_template(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer embeddings(const Backstage& backstage, const Call& call);
// llama_cpp_python.cpp
[[nodiscard]] Answer llama_cpp_python_completions(const Backstage& backstage, const Call& call);
// together.cpp
[[nodiscard]] Answer together_completions(const Backstage& backstage, const Call& call);
// sglang.cpp
[[nodiscard]] Answer sglang_generate(const Backstage& backstage, const Call& call);
// tgi.cpp
/// TGI refuses a top_p of 1, on all of its paths.
void check_tgi_top_p(const Json& parameters);
[[nodiscard]] Answer tgi_generate(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer tgi_completions(const Backstage& backstage, const Call& call);
[[nodiscard]] Answer tgi_info(const Backstage& backstage);

/// llama_server.cpp: the one server with a memory, the prompt that each slot saw last.
class LlamaServer {
  public:
    [[nodiscard]] Answer completions(const Backstage& backstage, const Call& call);
    [[nodiscard]] Answer completion(const Backstage& backstage, const Call& call);
    [[nodiscard]] static Answer props(const Backstage& backstage);

  private:
    struct Run;
    [[nodiscard]] Run run(const Backstage& backstage, const Json& body, const Prompt& prompt);

    std::map<int, std::vector<Token>> slot_tokens_;
};

/// Entry of chat-like "content" lists; llama-server adds the id.
[[nodiscard]] Json content_entry(const Backstage& backstage,
                                 const ScoredToken& scored,
                                 int top_count,
                                 bool with_id);
/// {"prompt_tokens", "completion_tokens", "total_tokens"}
[[nodiscard]] Json usage(std::int64_t prompt_tokens, std::int64_t completion_tokens);

}  // namespace fake_llm
