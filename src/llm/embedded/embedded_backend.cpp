#include "llm/embedded/embedded_backend.hpp"

#include <deque>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"

namespace dln {
namespace {

// Cells behind one whole context: room for the block of a unit beside the candidate's prefix.
constexpr int kBlockCells = 2048;

DecoderOptions decoder_options(const EmbeddedOptions& options) {
    return {.cells = options.context_tokens + kBlockCells,
            .threads = options.threads,
            .f16_cache = options.kv_cache == CacheType::f16,
            .place = options.place};
}

}  // namespace

EmbeddedBackend::EmbeddedBackend(const EmbeddedOptions& options)
    : EmbeddedBackend(options, prepare_model_file(options.model, options.weights, options.place)) {}

EmbeddedBackend::EmbeddedBackend(const EmbeddedOptions& options, const ModelFile& file)
    : model_(load_llama_model(file.path)),
      tokenizer_(*model_, options.begin_text),
      decoder_(*model_, decoder_options(options)),
      context_tokens_(options.context_tokens) {
    const int trained = llama_model_n_ctx_train(model_.get());
    if (context_tokens_ > trained) {
        throw BackendError(
            fmt::format("{}/context_tokens {} is more than the {} tokens that {} was trained with",
                        options.place, context_tokens_, trained, file.identity));
    }
    info_.kind = "embedded";
    info_.model =
        fmt::format("{}:kv-{}", file.identity, options.kv_cache == CacheType::f16 ? "f16" : "f32");
    info_.context_tokens = context_tokens_;
    info_.has_chat_template = tokenizer_.has_chat_template();
    info_.description = fmt::format("llama.cpp {}, {} thread{}, {}", llama_version(),
                                    options.threads, options.threads == 1 ? "" : "s", file.path);
}

void EmbeddedBackend::submit(std::uint64_t id, Request request) {
    waiting_.push_back({id, std::move(request)});
}

std::vector<Completion> EmbeddedBackend::poll(std::chrono::milliseconds /*timeout*/) {
    if (!work_) {
        if (waiting_.empty()) return {};
        Entry entry = std::move(waiting_.front());
        waiting_.pop_front();
        work_id_ = entry.id;
        work_ = std::visit(
            [this](auto&& request) { return start(std::forward<decltype(request)>(request)); },
            std::move(entry.request));
    }
    if (!work_->advance()) return {};
    std::vector<Completion> completed;
    Usage usage = work_->usage();
    usage.requests = usage.calls;
    // What was shared counts too, as on servers: what a run may use does not depend on its ranks.
    usage.prompt_tokens = usage.standalone_tokens - usage.generated_tokens;
    completed.push_back({work_id_, work_->take_reply(), usage});
    work_.reset();
    return completed;
}

std::unique_ptr<Work> EmbeddedBackend::start(ScoreRequest request) {
    return make_score_work({decoder_, tokenizer_, context_tokens_}, std::move(request));
}

std::unique_ptr<Work> EmbeddedBackend::start(GenerateRequest request) {
    return make_generate_work({decoder_, tokenizer_, context_tokens_}, std::move(request));
}

std::unique_ptr<Work> EmbeddedBackend::start(const EmbedRequest& request) {
    return make_embed_work({decoder_, tokenizer_, context_tokens_}, request);
}

int EmbeddedBackend::count_tokens(const Context& context) {
    return static_cast<int>(tokenizer_.encode(context).size());
}

bool embedded_backend_available() noexcept { return true; }

std::unique_ptr<Backend> make_embedded_backend(const EmbeddedOptions& options) {
    return std::make_unique<EmbeddedBackend>(options);
}

}  // namespace dln
