#pragma once
// What completion requests of all dialects have in common, read from their bodies.

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "api.hpp"
#include "language.hpp"
#include "options.hpp"

namespace fake_llm {

/// What every dialect works with.
struct Backstage {
    const Options& options;
    const Language& language;
};

struct Prompt {
    std::string text;
    std::vector<Token> tokens;
};

/// How the flavour words an error of the client: {"error":{...}} or as its server does it.
[[nodiscard]] Refusal refusal(Flavour flavour, int status, const std::string& message);

/// Throws Refusal when `body` is no JSON object.
[[nodiscard]] Json read_object(const Backstage& backstage, std::string_view body);

/// The field, or `fallback` when it is absent or null. Throws Refusal when it has another type.
[[nodiscard]] double number_or(const Backstage& backstage,
                               const Json& object,
                               const char* name,
                               double fallback);
[[nodiscard]] int integer_or(const Backstage& backstage,
                             const Json& object,
                             const char* name,
                             int fallback);
[[nodiscard]] bool flag_or(const Backstage& backstage,
                           const Json& object,
                           const char* name,
                           bool fallback);
[[nodiscard]] std::optional<int> optional_integer(const Backstage& backstage,
                                                  const Json& object,
                                                  const char* name);

/// A text, a list of texts, a list of token ids, or a list of lists of ids. Throws Refusal.
[[nodiscard]] std::vector<Prompt> read_prompts(const Backstage& backstage,
                                               const Json& value,
                                               bool add_special);
[[nodiscard]] std::vector<Token> read_tokens(const Backstage& backstage, const Json& value);
/// "messages" as one prompt.
[[nodiscard]] Prompt read_chat_prompt(const Backstage& backstage, const Json& object);

/// temperature, top_p, top_k, seed, ignore_eos, stop; max_tokens is left to the dialect.
[[nodiscard]] GenerateLimits read_limits(const Backstage& backstage, const Json& object);

/// Notes the prompts in `work`, exchanges their tokens for the fault "wrong-tokens", and keeps them below
/// the context: cuts them with --truncate, else throws the flavour's Refusal.
void accept_prompts(const Backstage& backstage,
                    const Call& call,
                    int max_tokens,
                    std::vector<Prompt>& prompts,
                    Work& work);

/// "cmpl-" and the call's hash.
[[nodiscard]] std::string reply_id(std::string_view prefix, const Call& call);
constexpr std::int64_t kCreated = 1'700'000'000;

[[nodiscard]] const char* finish_name(Finish finish);

/// A number, or null where it has no finite value, as JSON has none for it.
[[nodiscard]] Json finite_or_null(double value);

}  // namespace fake_llm
