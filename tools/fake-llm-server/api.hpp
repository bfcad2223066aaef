#pragma once
// What the dialects read and answer: no sockets, no time, no faults. An answer depends on its call alone
// (but for llama-server's count of reused tokens).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fake_llm {

using Json = nlohmann::json;

struct Call {
    std::string_view method;
    std::string_view path;  ///< without the query
    std::string_view body;
    std::uint64_t hash = 0;  ///< of path and body
    /// Answer for another prompt than the one asked for (the fault "wrong-tokens").
    bool wrong_tokens = false;
    bool ignored_echo = false;  ///< as the flavour "echo-ignored" does
    bool shifted = false;       ///< as the flavour of that name does
};

/// What a call asked the model to do.
struct Work {
    std::vector<std::uint64_t> prompt_hashes;
    std::int64_t prompt_tokens = 0;
    std::int64_t completion_tokens = 0;
};

struct Answer {
    int status = 200;
    Json body;
    Work work;
    std::string text;  ///< the body where it was written as text; else empty
};

/// Ends the handling of a call with an error reply.
struct Refusal {
    int status = 400;
    Json body;
};

}  // namespace fake_llm
