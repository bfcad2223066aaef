#pragma once
// What commands that call a model set up in the same way: job, data, network, backend, engine, on all
// ranks. Everything that can be wrong with a user's files is found on rank 0 before a model is loaded.

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/network_runner.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/llm/http.hpp"
#include "dln/network/network.hpp"
#include "dln/store/journal.hpp"
#include "dln/train/input_embeddings.hpp"

namespace dln {

/// Where a backend is described, for messages.
struct BackendPlace {
    std::string job_path;
    const char* pointer = kBackendPointer;
    [[nodiscard]] std::string text() const {
        return job_path.empty() ? pointer : job_path + ": " + pointer;
    }
};

/// A backend that a job asks for, on this rank. Throws BackendError, and UsageError for addresses and keys
/// that cannot be used. `replies`: for servers, none elsewhere.
[[nodiscard]] std::unique_ptr<Backend> make_backend(const BackendSpec& spec,
                                                    const BackendPlace& place,
                                                    int rank = 0,
                                                    int ranks = 1,
                                                    std::shared_ptr<PaidReplies> replies = {},
                                                    std::optional<ReplayedRun> replayed = {});

/// What a run keeps of what its model servers say of themselves: those of the forward model, and those of a
/// backward model of its own.
inline constexpr const char* kServerFile = "server.json";
inline constexpr const char* kBackwardServerFile = "backward_server.json";
inline constexpr const char* kEmbeddingServerFile = "embedding_server.json";

/// What became of embedding the inputs, where examples are chosen by it or gates see it.
struct EmbeddedInputs {
    BackendInfo info;
    Usage usage;  ///< of all ranks; on rank 0 only
};

/// Where replies of model servers come from, beside the servers.
struct Replies {
    /// They go into the journal of the job's run, and are looked up there first.
    bool keeps_replies = false;
    /// Directory of a run whose journal holds all of them; nothing is sent. Empty: none.
    std::string replayed_run;
    /// Directory of a run whose journal is looked up for embeddings, and for nothing else; it takes none. Empty: none.
    std::string embeddings_of_run = {};
    /// With keeps_replies: the journal to use instead of the run's, of this rank; it is refreshed first. None: the
    /// run's.
    std::shared_ptr<Journal> shared_journal = {};
};

/// A rank's share of the limits of model servers, where other ranks call the same servers for other runs.
struct LimitShare {
    int rank = 0;
    int ranks = 1;  ///< that call, all together
};

/// Which splits a command reads; few-shot examples need the training split whatever is asked.
struct SplitsWanted {
    bool train = true;
    bool dev = true;
    bool test = true;
};

/// Which models a command asks. Evaluating needs no backward one.
enum class ModelsWanted { forward, both };

class JournalReplies;

class Session {
  public:
    /// Reads job (by `read`, on rank 0) and data, shares them, builds the network. `check` runs on rank 0
    /// when all that is read, before any model is loaded; it may throw Error. Collective.
    Session(Communicator& comm,
            const std::function<Job()>& read,
            const SplitsWanted& wanted,
            const std::function<void(Session&)>& check = {});
    ~Session();

    /// Adds a split that is no file of the job (inputs to predict) and returns its index. Rank 0's
    /// `data` counts. Collective; before start().
    std::size_t add_split(const Dataset& data);
    /// Loads the models on every rank; where examples are chosen by embeddings or gates see them, embeds all inputs.
    /// Collective.
    /// `share`: none: those of the session's ranks.
    void start(ModelsWanted models,
               const Replies& replies = {},
               const std::optional<LimitShare>& share = {});
    /// Replies of model servers that were held at the start.
    [[nodiscard]] std::int64_t replies_held() const noexcept { return replies_held_; }
    /// Runs `body` on rank 0 while the other ranks serve its engine; returns its exit code on all ranks.
    /// Then says in `summary` what became of the calls of all ranks, however the body ended.
    [[nodiscard]] int run(const std::function<int()>& body, std::FILE* summary = stderr);

    [[nodiscard]] Communicator& comm() noexcept { return comm_; }
    [[nodiscard]] const Job& job() const noexcept { return job_; }
    [[nodiscard]] const std::vector<Dataset>& splits() const noexcept { return splits_; }
    [[nodiscard]] const Network& network() const { return *network_; }
    [[nodiscard]] Backend& backend() { return *backend_; }
    /// Of the backward model: the same one when the job has no other, or when it was not wanted.
    [[nodiscard]] Backend& backward() { return backward_ ? *backward_ : *backend_; }
    [[nodiscard]] Engine& engine() { return *engine_; }
    /// What the gates of mixture layers see; null in networks without. Pre: started.
    [[nodiscard]] const InputEmbeddings* inputs() const { return inputs_ ? &*inputs_ : nullptr; }
    /// Throws UsageError when gates of `parameters` were fitted to other embeddings. Pre: started.
    void check_gates(const NetworkParameters& parameters) const;
    /// None: nothing depends on embeddings.
    [[nodiscard]] const std::optional<EmbeddedInputs>& embedded_inputs() const noexcept {
        return embedded_inputs_;
    }
    /// Identity of the job with its data.
    [[nodiscard]] std::string hash() const;

  private:
    void share_job(const std::function<Job()>& read);
    void share_splits(const SplitsWanted& wanted);
    [[nodiscard]] std::shared_ptr<JournalReplies> open_replies(const Replies& wanted);
    [[nodiscard]] std::unique_ptr<Backend> make(const BackendSpec& spec,
                                                const char* pointer,
                                                const char* server_file,
                                                std::shared_ptr<PaidReplies> held,
                                                const Replies& wanted) const;
    void make_backends(ModelsWanted models,
                       const Replies& wanted,
                       const std::shared_ptr<JournalReplies>& replies);
    [[nodiscard]] std::unique_ptr<Backend> make_embedding(
        const Replies& wanted, const std::shared_ptr<JournalReplies>& replies);
    void embed(const Replies& wanted, const std::shared_ptr<JournalReplies>& replies);
    void count_held(const JournalCounts& counts);

    Communicator& comm_;
    Job job_;
    std::vector<Dataset> splits_;  // train, dev, test, then added ones
    std::optional<Network> network_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Backend> backward_;  // none: backend_ is both
    bool asks_training_ = false;
    LimitShare share_;
    NearestExamples nearest_;
    std::optional<InputEmbeddings> inputs_;
    std::optional<EmbeddedInputs> embedded_inputs_;
    BackendCounts embedding_counts_;  // of all ranks; on rank 0 only
    std::unique_ptr<NetworkRunner> runner_;
    std::unique_ptr<Engine> engine_;
    std::int64_t replies_held_ = 0;
};

}  // namespace dln
