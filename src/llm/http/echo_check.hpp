#pragma once
// Is what a server returned for a prompt what it was asked for, token by token? Pure.

#include <span>
#include <string>
#include <vector>

#include "llm/http/log_prob.hpp"
#include "llm/http/wire.hpp"

namespace dln::http {

struct CheckedEcho {
    Verdict::Kind kind = Verdict::Kind::taken;
    std::string reason;
    std::size_t tokens = 0;  ///< of the prompt, as the server returned them
    /// Of its last tokens: those from first_wanted on where the tokens were known, else all but the first.
    std::vector<LogProb> values;
    bool has_lead = false;   ///< the server put a token in front
    bool has_begin = false;  ///< the begin text is among the tokens
};

/// By token ids where the server gives them, else by the tokens' texts. Never by offsets, and never by
/// counting from the end: what was generated behind the prompt may be there or not.
[[nodiscard]] CheckedEcho check_echo(const Echo& echo, const EchoPrompt& prompt);

/// The echo of a text whose tokens are not known yet. Keeps what verifies it later.
struct TextEcho {
    Verdict::Kind kind = Verdict::Kind::taken;
    std::string reason;
    std::vector<TokenId> ids;     ///< of the text, then perhaps one that was generated
    std::vector<LogProb> values;  ///< in the order of ids; one fewer or more than those
};
[[nodiscard]] TextEcho read_text_echo(const Echo& echo);

/// The log-probabilities of `tokens` from `first` on, when `echo` is the echo of these tokens; empty when
/// it is that of others, or one of these values is malformed. Pre: first < tokens.size().
[[nodiscard]] std::span<const LogProb> values_of(const TextEcho& echo,
                                                 std::span<const TokenId> tokens,
                                                 std::size_t first);

}  // namespace dln::http
