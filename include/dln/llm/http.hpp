#pragma once
// Backends behind HTTP: vLLM, SGLang, TGI, llama.cpp's server and others, by dialect. One object a rank;
// limits that an endpoint has hold for all ranks together, each rank keeps to its share.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dln/error.hpp"
#include "dln/llm/backend.hpp"

namespace dln {

/// No server answers at all, so that nothing else can be tried with it.
class UnreachableError : public BackendError {
  public:
    using BackendError::BackendError;
};

/// A server, and what may be asked of it.
struct HttpEndpoint {
    std::string address;                   ///< "http://127.0.0.1:8000", without the paths of an API
    std::string unix_socket;               ///< connect there instead; empty: TCP
    std::string key_env;                   ///< environment variable that holds the key; empty: none
    std::string key_file;                  ///< or a file of mode 0600 that does
    bool allow_insecure_key = false;       ///< send the key over http to another machine
    std::string ca_file;                   ///< certificates to trust instead of the system's
    std::size_t in_flight = 16;            ///< most calls at a time
    std::int64_t requests_per_minute = 0;  ///< 0: no limit
    std::int64_t tokens_per_minute = 0;    ///< in and out; 0: no limit
};

/// Why a call came to nothing: refused by its server, or given up.
struct RefusedCall {
    int status = 0;      ///< 0: there was no answer, see `reason`
    std::string body;    ///< the server's words
    std::string reason;  ///< the client's
};

/// Replies that were paid for before, by what was asked: a run's journal. Replies of one rank's calls.
class PaidReplies {
  public:
    virtual ~PaidReplies() = default;
    /// The reply to this call of the model `model`, when there is one.
    [[nodiscard]] virtual std::optional<std::string> find(const std::string& model,
                                                          const std::string& path,
                                                          const std::string& body) = 0;
    /// Takes a reply that was understood. Must not throw for a full disk.
    virtual void keep(const std::string& model,
                      const std::string& path,
                      const std::string& body,
                      const std::string& reply) = 0;
    /// The same for calls that came to nothing. They are looked up only where nothing can be sent: else
    /// they are asked again, for a server may do better.
    [[nodiscard]] virtual std::optional<RefusedCall> find_refused(const std::string& model,
                                                                  const std::string& path,
                                                                  const std::string& body) = 0;
    virtual void keep_refused(const std::string& model,
                              const std::string& path,
                              const std::string& body,
                              const RefusedCall& refused) = 0;
};

/// A run whose replies are all that there is: nothing is sent.
struct ReplayedRun {
    std::string path;   ///< for messages
    std::string facts;  ///< its BackendInfo::facts
};

struct HttpOptions {
    std::string dialect = "openai";  ///< openai, openai-chat, together, sglang, tgi, llama-server
    std::string model;               ///< name on the server; empty: the only one that it has
    std::vector<HttpEndpoint> endpoints;  ///< at least one; all serve the same model
    /// Most tokens of one context with its target or output, where the server does not say less.
    int context_tokens = 2048;
    std::size_t prompts_a_call = 8;  ///< where the dialect takes lists
    std::string
        begin_text;  ///< put before scored texts, for servers that score right only behind it
    double deadline_seconds = 120;   ///< of one call
    double patience_seconds = 600;   ///< how long no endpoint may answer before the run stops
    int tries = 10;                  ///< most tries of a call that goes wrong by itself
    double hedge_after_medians = 0;  ///< a second copy of calls that take so many medians; 0: never
    int rank = 0;
    int ranks = 1;
    std::shared_ptr<PaidReplies> replies;  ///< none: every call is sent
    /// No endpoint is asked and no key is read: replies come from `replies`, and a call that has none
    /// there makes poll and count_tokens throw BackendError.
    std::optional<ReplayedRun> replayed;
    std::string place;  ///< begins messages: job file and pointer of the backend
};

/// Names of the dialects, for messages and job files.
[[nodiscard]] const std::vector<std::string>& http_dialects();

/// Asks every endpoint what it is, unless a run is replayed. Throws UsageError for an address, key or dialect
/// that cannot be used, UnreachableError when no endpoint answers, BackendError when the model is not there, an
/// endpoint does not speak the dialect, or endpoints serve different models. The
/// backend's poll throws BackendError when no endpoint can be used any more or one computes something else
/// than it should, with each endpoint's reason. Any rank.
[[nodiscard]] std::unique_ptr<Backend> make_http_backend(const HttpOptions& options);

}  // namespace dln
