#include "dln/llm/backend.hpp"

namespace dln {
namespace {

Reply failed(const ScoreRequest& request, const std::string& why) {
    ScoreReply reply;
    for (const ScoreItem& item : request.items) {
        reply.scores.emplace_back(item.targets.size(),
                                  TargetScore{.token_log_probs = {}, .error = why});
    }
    return reply;
}

Reply failed(const GenerateRequest& request, const std::string& why) {
    return GenerateReply{.texts = std::vector<GeneratedText>(request.items.size(), {.error = why})};
}

Reply failed(const EmbedRequest& request, const std::string& why) {
    return EmbedReply{
        .embeddings = std::vector<Embedding>(request.texts.size(), {.values = {}, .error = why})};
}

}  // namespace

Reply failed_reply(const Request& request, const std::string& why) {
    return std::visit([&](const auto& asked) { return failed(asked, why); }, request);
}

Usage& Usage::operator+=(const Usage& other) {
    calls += other.calls;
    standalone_tokens += other.standalone_tokens;
    evaluated_tokens += other.evaluated_tokens;
    generated_tokens += other.generated_tokens;
    recalled += other.recalled;
    requests += other.requests;
    prompt_tokens += other.prompt_tokens;
    discarded_tokens += other.discarded_tokens;
    return *this;
}

Usage discarded(const Usage& usage) {
    return {.requests = usage.requests,
            .prompt_tokens = usage.prompt_tokens,
            .discarded_tokens = usage.generated_tokens + usage.discarded_tokens};
}

Completion run_request(Backend& backend, Request request) {
    backend.submit(0, std::move(request));
    for (;;) {
        std::vector<Completion> completed = backend.poll(std::chrono::milliseconds(100));
        if (!completed.empty()) return std::move(completed.front());
    }
}

std::vector<Completion> run_requests(Backend& backend, std::vector<Request> requests) {
    std::vector<Completion> completions(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) backend.submit(i, std::move(requests[i]));
    for (std::size_t open = requests.size(); open > 0;) {
        for (Completion& completion : backend.poll(std::chrono::milliseconds(100))) {
            completions.at(completion.id) = std::move(completion);
            --open;
        }
    }
    return completions;
}

}  // namespace dln
