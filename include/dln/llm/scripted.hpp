#pragma once
// The backend without a model: replies from a file or computed from a hash. For offline tests, dry runs and
// trying a job file. Every reply is a pure function of the request's item.

#include <memory>
#include <string>

#include "dln/llm/backend.hpp"

namespace dln {

struct ScriptedOptions {
    /// JSON lines file of replies; empty: every reply by hash. Each line is one of
    ///   {"match": "<substring of the context>", "text": "<the continuation>"}
    ///   {"match": "<substring of the context>", "target": "<with its separator>", "log_prob": -1.2}
    /// where log_prob is that of every token of the target. The first line that fits decides; where none
    /// does, the hash. Empty lines are skipped.
    std::string replies_path = {};
    /// The most tokens that a context with its target may have. A token is 4 bytes, the last one perhaps
    /// fewer.
    int context_tokens = 2048;
    /// Polls that a request takes at most. When positive, requests complete in another order than they
    /// were submitted in, fixed by their ids.
    int latency_polls = 0;
};

/// Throws UsageError naming file and line when the replies cannot be read.
[[nodiscard]] std::unique_ptr<Backend> make_scripted_backend(const ScriptedOptions& options);

}  // namespace dln
