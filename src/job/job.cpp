#include "dln/job/job.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/digest/sha256.hpp"
#include "dln/error.hpp"

#include "job/document.hpp"
#include "job/fields.hpp"

namespace dln {
namespace {

Job parse(std::string_view text,
          const std::string& path,
          const std::vector<Override>& overrides,
          job::FileAccess access) {
    return job::parse_document(text, path, "job", job::job_codec(), overrides, access);
}

}  // namespace

Job read_job(const std::string& path, const std::vector<Override>& overrides) {
    return parse_job(job::read_document(path, "job"), path, overrides);
}

Job parse_job(std::string_view text,
              const std::string& path,
              const std::vector<Override>& overrides) {
    return parse(text, path, overrides, job::FileAccess::check);
}

Job job_from_json(std::string_view resolved, const std::string& path) {
    return parse(resolved, path, {}, job::FileAccess::skip);
}

const BackendSpec& backward_spec(const Job& job) {
    return job.backward_backend ? *job.backward_backend : job.backend;
}

const char* backward_pointer(const Job& job) {
    return job.backward_backend ? kBackwardPointer : kBackendPointer;
}

bool uses_servers(const Job& job) {
    return job.backend.kind == BackendKind::http || backward_spec(job).kind == BackendKind::http;
}

bool embeds_by_servers(const Job& job) {
    return embeds_inputs(job) && job.embedding->kind == EmbeddingKind::http;
}

bool has_journal(const Job& job) { return uses_servers(job) || embeds_by_servers(job); }

bool has_mixtures(const Job& job) { return std::ranges::any_of(job.network.layers, is_mixture); }

bool embeds_inputs(const Job& job) { return nearest_shown(job) > 0 || has_mixtures(job); }

std::size_t nearest_shown(const Job& job) {
    const LayerSpec& last = job.network.layers.back();
    return last.few_shot_choice == FewShotChoice::nearest ? last.few_shot : 0;
}

BackendSpec backend_of(const EmbeddingSpec& spec) {
    DLN_ASSERT(spec.kind != EmbeddingKind::ngrams, "{} asks no model", kEmbeddingPointer);
    BackendSpec backend;
    backend.kind = spec.kind == EmbeddingKind::http ? BackendKind::http : BackendKind::embedded;
    backend.model = spec.model;
    backend.weights = spec.weights;
    backend.context_tokens = spec.context_tokens;
    backend.threads = spec.threads;
    backend.dialect = "openai-embeddings";
    backend.endpoints = spec.endpoints;
    backend.served_model = spec.served_model;
    backend.prompts_a_call = spec.prompts_a_call;
    backend.deadline_seconds = spec.deadline_seconds;
    backend.patience_seconds = spec.patience_seconds;
    backend.tries = spec.tries;
    return backend;
}

bool has_prices(const Job& job) {
    const auto has = [](const BackendSpec& spec) {
        return spec.price_input > 0.0 || spec.price_output > 0.0;
    };
    return has(job.backend) || has(backward_spec(job));
}

std::vector<std::string> initial_words(const LayerSpec& layer) {
    std::vector<std::string> words;
    for (const WordSpec& word : layer.words) words.push_back(word.alternatives.front());
    return words;
}

nlohmann::ordered_json job_to_json(const Job& job) { return job::job_codec().write(job); }

nlohmann::ordered_json job_identity(const Job& job) {
    auto identity = job_to_json(job);
    for (const auto* name : {"system", "name", "run_dir", "keep", "budget"}) {
        identity.erase(name);
    }
    for (auto& split : identity["data"]) {
        if (split.is_object()) {
            split.erase("path");
            if (split["task_field"].is_null()) split.erase("task_field");  // as before it was there
        }
    }
    // As before there were others.
    if (!job.backward_backend) identity.erase("backward_backend");
    if (!job.embedding) identity.erase("embedding");
    for (auto& layer : identity["network"]["layers"]) {
        if (layer["words"].empty()) layer.erase("words");
        if (layer["mixture"]["experts"] == 1) layer.erase("mixture");
    }
    // A penalty that falls to 0 over the steps depends on how many there are.
    if (!job.train.logp_penalty_decay) identity["train"].erase("steps");
    for (const auto* name : {"model", "replies", "threads", "endpoints", "served_model",
                             "prompts_a_call", "deadline_seconds", "patience_seconds", "tries",
                             "hedge_after_medians", "price_input", "price_output"}) {
        identity["backend"].erase(name);
        for (const auto* other : {"backward_backend", "embedding"}) {
            if (identity.contains(other)) identity[other].erase(name);
        }
    }
    return identity;
}

std::string job_hash(const Job& job, const std::vector<std::string>& data_digests) {
    return sha256(
        nlohmann::ordered_json{{"job", job_identity(job)}, {"data", data_digests}}.dump());
}

}  // namespace dln
