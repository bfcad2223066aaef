#include "cli/session.hpp"

#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/data/read.hpp"
#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/llm/embedding.hpp"
#include "dln/llm/http.hpp"
#include "dln/llm/scripted.hpp"
#include "dln/report/calls.hpp"

#include "cli/journal_replies.hpp"
#include "cli/nearest.hpp"
#include "cli/ranks.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

WeightType weight_type(const std::string& name) {
    if (name == "f16") return WeightType::f16;
    return name == "as_is" ? WeightType::as_is : WeightType::f32;
}

HttpOptions http_options(const BackendSpec& spec, const BackendPlace& place, int rank, int ranks) {
    HttpOptions options{.dialect = spec.dialect,
                        .model = spec.served_model,
                        .endpoints = {},
                        .context_tokens = spec.context_tokens,
                        .prompts_a_call = spec.prompts_a_call,
                        .begin_text = spec.begin_text,
                        .deadline_seconds = spec.deadline_seconds,
                        .patience_seconds = spec.patience_seconds,
                        .tries = spec.tries,
                        .hedge_after_medians = spec.hedge_after_medians,
                        .rank = rank,
                        .ranks = ranks,
                        .place = place.text()};
    for (const EndpointSpec& endpoint : spec.endpoints) {
        options.endpoints.push_back({.address = endpoint.address,
                                     .unix_socket = endpoint.unix_socket,
                                     .key_env = endpoint.key_env,
                                     .key_file = endpoint.key_file,
                                     .allow_insecure_key = endpoint.allow_insecure_key,
                                     .ca_file = endpoint.ca_file,
                                     .in_flight = endpoint.in_flight,
                                     .requests_per_minute = endpoint.requests_per_minute,
                                     .tokens_per_minute = endpoint.tokens_per_minute});
    }
    return options;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendSpec& spec,
                                      const BackendPlace& place,
                                      int rank,
                                      int ranks,
                                      std::shared_ptr<PaidReplies> replies,
                                      std::optional<ReplayedRun> replayed) {
    if (spec.kind == BackendKind::http) {
        HttpOptions options = http_options(spec, place, rank, ranks);
        options.replies = std::move(replies);
        options.replayed = std::move(replayed);
        return make_http_backend(options);
    }
    if (spec.kind == BackendKind::scripted) {
        return make_scripted_backend(
            {.replies_path = spec.replies, .context_tokens = spec.context_tokens});
    }
    return make_embedded_backend(
        {.model = spec.model,
         .weights = weight_type(spec.weights),
         .kv_cache = spec.kv_cache == "f16" ? CacheType::f16 : CacheType::f32,
         .context_tokens = spec.context_tokens,
         .threads = spec.threads,
         .begin_text = spec.begin_text,
         .place = place.pointer});
}

Session::Session(Communicator& comm,
                 const std::function<Job()>& read,
                 const SplitsWanted& wanted,
                 const std::function<void(Session&)>& check)
    : comm_(comm) {
    share_job(read);
    share_splits(wanted);
    on_all_ranks(comm_, [this] { network_.emplace(job_, splits_[0]); });
    (void)from_root(comm_, [&]() -> std::string {
        if (check) check(*this);
        return {};
    });
}

Session::~Session() = default;

void Session::share_job(const std::function<Job()>& read) {
    const std::string resolved = from_root(comm_, [&] {
        job_ = read();
        return job_to_json(job_).dump();
    });
    if (comm_.rank() != 0) job_ = job_from_json(resolved, "resolved job");
}

void Session::share_splits(const SplitsWanted& wanted) {
    std::vector<std::string> classes;
    for (const ClassSpec& known : job_.classes) classes.push_back(known.name);
    const auto share = [&](const SplitSpec* spec) {
        Dataset data;
        const std::string bytes = from_root(comm_, [&]() -> std::string {
            if (spec != nullptr) data = read_split(*spec, classes);
            return comm_.size() > 1 ? data.serialize() : std::string();
        });
        splits_.push_back(comm_.rank() == 0 ? std::move(data) : Dataset::deserialize(bytes));
    };
    asks_training_ = wanted.train;
    const bool few_shot = job_.network.layers.back().few_shot > 0;
    share(wanted.train || few_shot ? &job_.data.train : nullptr);
    share(wanted.dev && job_.data.dev ? &*job_.data.dev : nullptr);
    share(wanted.test && job_.data.test ? &*job_.data.test : nullptr);
}

std::size_t Session::add_split(const Dataset& data) {
    const std::string bytes = comm_.broadcast(comm_.size() > 1 ? data.serialize() : std::string());
    splits_.push_back(comm_.rank() == 0 ? data : Dataset::deserialize(bytes));
    return splits_.size() - 1;
}

// All ranks read the journal before any rank writes to it. All models' replies are in one.
std::shared_ptr<JournalReplies> Session::open_replies(const Replies& wanted) {
    std::shared_ptr<JournalReplies> replies;
    on_all_ranks(comm_, [&] {
        if (!has_journal(job_)) return;
        if (!wanted.replayed_run.empty()) {
            replies = JournalReplies::of_replayed(wanted.replayed_run);
        } else if (wanted.keeps_replies && wanted.shared_journal) {
            wanted.shared_journal->refresh();
            replies = std::make_shared<JournalReplies>(job_.run_dir, wanted.shared_journal);
        } else if (wanted.keeps_replies) {
            replies = std::make_shared<JournalReplies>(job_.run_dir, comm_.rank());
        }
    });
    if (replies) count_held(replies->counts());
    return replies;
}

std::unique_ptr<Backend> Session::make(const BackendSpec& spec,
                                       const char* pointer,
                                       const char* server_file,
                                       std::shared_ptr<PaidReplies> held,
                                       const Replies& wanted) const {
    std::optional<ReplayedRun> replayed;
    if (!wanted.replayed_run.empty()) {
        const std::string facts = RunDirectory(wanted.replayed_run).file(server_file);
        replayed = {.path = wanted.replayed_run, .facts = read_text_file(facts).value_or("")};
    }
    return make_backend(spec, {job_.path, pointer}, share_.rank, share_.ranks, std::move(held),
                        std::move(replayed));
}

void Session::make_backends(ModelsWanted models,
                            const Replies& wanted,
                            const std::shared_ptr<JournalReplies>& replies) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point ready;
    on_all_ranks(comm_, [&] {
        backend_ = make(job_.backend, kBackendPointer, kServerFile, replies, wanted);
        if (models == ModelsWanted::both && job_.backward_backend) {
            backward_ = make(
                *job_.backward_backend, kBackwardPointer, kBackwardServerFile,
                replies ? std::make_shared<RepliesApart>(replies, "backward") : nullptr, wanted);
        }
        ready = Clock::now();
    });
    spdlog::debug("rank {}: waited {:.3f} s for the backends of other ranks", comm_.rank(),
                  std::chrono::duration<double>(Clock::now() - ready).count());
}

std::unique_ptr<Backend> Session::make_embedding(const Replies& wanted,
                                                 const std::shared_ptr<JournalReplies>& replies) {
    const EmbeddingSpec& spec = *job_.embedding;
    std::unique_ptr<Backend> embedding;
    on_all_ranks(comm_, [&] {
        if (spec.kind == EmbeddingKind::ngrams) {
            embedding = make_ngram_backend(spec.dimension);
            return;
        }
        std::shared_ptr<JournalReplies> held = replies;
        if (!held && spec.kind == EmbeddingKind::http && !wanted.embeddings_of_run.empty()) {
            held = JournalReplies::of_replayed(wanted.embeddings_of_run);
        }
        embedding =
            make(backend_of(spec), kEmbeddingPointer, kEmbeddingServerFile,
                 held ? std::make_shared<RepliesApart>(held, "embedding") : nullptr, wanted);
    });
    return embedding;
}

// The backend that embeds is needed for this alone, and gives its memory back.
void Session::embed(const Replies& wanted, const std::shared_ptr<JournalReplies>& replies) {
    const std::unique_ptr<Backend> embedding = make_embedding(wanted, replies);
    if (replies) replies->keep_before_run(true);
    InputVectors inputs = embed_inputs(comm_, job_, splits_, *embedding);
    if (replies) replies->keep_before_run(false);
    if (network_->nearest_shown() > 0) {
        nearest_ = find_nearest_examples(comm_, job_, inputs, asks_training_);
    }
    embedded_inputs_ = {.info = embedding->info(), .usage = inputs.usage};
    embedding_counts_ = inputs.counts;
    if (has_mixtures(job_)) {
        inputs_.emplace(std::move(inputs.embeddings), std::move(inputs.texts.of_splits));
    }
}

void Session::start(ModelsWanted models,
                    const Replies& wanted,
                    const std::optional<LimitShare>& share) {
    share_ = share.value_or(LimitShare{.rank = comm_.rank(), .ranks = comm_.size()});
    const std::shared_ptr<JournalReplies> replies = open_replies(wanted);
    make_backends(models, wanted, replies);
    if (embeds_inputs(job_)) embed(wanted, replies);
    runner_ = std::make_unique<NetworkRunner>(*network_, splits_, *backend_, job_.seed,
                                              backward_.get(), &nearest_);
    engine_ = std::make_unique<Engine>(comm_, *runner_);
}

void Session::check_gates(const NetworkParameters& parameters) const {
    for (std::size_t l = 0; l < parameters.size(); ++l) {
        const LayerParameters& layer = parameters[l];
        const std::size_t fitted_to = layer.gate.weights.size() / expert_count(layer);
        // Where nothing was embedded (blank inputs only) nobody knows of how many numbers embeddings are.
        if (!layer.gate.is_fitted() || inputs_->dimension() == 0 ||
            inputs_->dimension() == fitted_to) {
            continue;
        }
        throw UsageError(
            fmt::format("{}: {}: embeddings have {} numbers, the gate of layer {} was fitted to "
                        "ones of {}. Expected the embedding that the prompts were trained with",
                        job_.path, kEmbeddingPointer, inputs_->dimension(), l + 1, fitted_to));
    }
}

void Session::count_held(const JournalCounts& counts) {
    replies_held_ = counts.held;
    if (comm_.rank() != 0) return;
    if (counts.skipped_lines > 0) {
        spdlog::warn("the journal has {} damaged line{}; what {} held is not known any more",
                     counts.skipped_lines, counts.skipped_lines == 1 ? "" : "s",
                     counts.skipped_lines == 1 ? "it" : "they");
    }
    spdlog::debug("journal: {} replies held, {} torn ends, {} other replies to what was answered",
                  counts.held, counts.torn_tails, counts.conflicts);
}

int Session::run(const std::function<int()>& body, std::FILE* summary) {
    if (comm_.rank() != 0) {
        engine_->serve();
        return 0;
    }
    int code = 0;
    try {
        code = body();
    } catch (const InternalError&) {
        throw;  // nothing is known of what the other ranks are doing
    } catch (const CommError&) {
        throw;  // nor whether they can be reached
    } catch (const Error& error) {
        fmt::print(stderr, "dln: {}\n", error.what());
        code = static_cast<int>(error.exit_code());
    }
    BackendCounts counts = engine_->total_counts();
    counts += embedding_counts_;
    for (const std::string& line : describe(counts)) {
        fmt::print(summary, "{}\n", line);
    }
    std::fflush(summary);
    engine_->stop_serving();
    return code;
}

std::string Session::hash() const {
    std::vector<std::string> digests;
    for (std::size_t i = 0; i < 3; ++i) digests.push_back(splits_[i].digest());
    return job_hash(job_, digests);
}

}  // namespace dln
