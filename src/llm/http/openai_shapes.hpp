#pragma once
// What the servers that speak (more or less) OpenAI's API have in common: sampling fields, numbered
// choices, usage, model lists. Pure.

#include "llm/http/wire.hpp"

namespace dln::http {

/// Sampling fields that change nothing, for servers that would apply others by default (vLLM those of the
/// model's generation_config; llama-cpp-python top_k 40, top_p 0.95, min_p 0.05). A top_k above any
/// vocabulary, since "all" is 0, -1 or none of both, depending on the server.
void add_neutral_sampling(Json& body);

/// max_tokens, temperature, top_p, seed and at most `most_stops` stop strings; what is left of the stop
/// strings must be cut off afterwards.
void add_sampling(Json& body,
                  const GenerateRequest& request,
                  std::uint32_t seed,
                  std::size_t most_stops);

/// The entries of a list in the order of their "index", whatever the order of the reply. Nothing: it is no
/// list of `count` entries, or one is missing, there twice, or one too many.
[[nodiscard]] std::optional<std::vector<const Json*>> entries_in_order(const Json* list,
                                                                       std::size_t count);
/// The choices of a reply in the order of their prompts, likewise.
[[nodiscard]] std::optional<std::vector<const Json*>> choices_in_order(const Json& reply,
                                                                       std::size_t count);
inline constexpr const char* kBadChoices = "choices are missing, occur twice or are too many";

[[nodiscard]] CountedTokens counted_usage(const Json& reply);

/// Reads the finish reason of a choice into `written`. False: unknown or none, so malformed.
[[nodiscard]] bool read_finish(const std::string* reason, Written& written);

/// POST /v1/completions for plain texts, as lists too when `is_list`.
class CompletionsWriter final : public WriteWire {
  public:
    struct Options {
        bool lists = false;
        bool neutral_sampling = true;  ///< spell out the fields of add_neutral_sampling
        bool wants_tokens = false;
        bool leaves_out_top_p_one = false;  ///< for servers that refuse 1
        std::size_t most_stops = 1024;
        std::string why_no_plain;  ///< why plain contexts are refused; empty: they are not
        std::string why_no_chat;
    };
    explicit CompletionsWriter(Options options) : options_(std::move(options)) {}
    [[nodiscard]] std::size_t prompts_a_call(const ServerFacts& server) const override;
    [[nodiscard]] std::string why_not(bool chat) const override;
    [[nodiscard]] bool wants_tokens() const override { return options_.wants_tokens; }
    [[nodiscard]] Call write(const ServerFacts& server,
                             const GenerateRequest& request,
                             std::span<const WritePrompt> prompts) const override;
    [[nodiscard]] WriteReply read(const Json& reply,
                                  std::span<const WritePrompt> prompts) const override;

  private:
    Options options_;
};

/// Takes a number of tokens as the length of the context; anything else changes nothing.
void learn_context_tokens(const Json* length, ServerFacts& server);

/// GET /v1/models: {"data":[{"id",...}]} or a bare list. Fills in the model's name when none was given and
/// there is one only, and the length of its context. Returns what is wrong.
[[nodiscard]] std::string learn_models(int status, std::string_view body, ServerFacts& server);

}  // namespace dln::http
