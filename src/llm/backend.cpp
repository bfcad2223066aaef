#include "dln/llm/backend.hpp"

namespace dln {

Usage& Usage::operator+=(const Usage& other) {
    calls += other.calls;
    standalone_tokens += other.standalone_tokens;
    evaluated_tokens += other.evaluated_tokens;
    generated_tokens += other.generated_tokens;
    recalled += other.recalled;
    requests += other.requests;
    prompt_tokens += other.prompt_tokens;
    return *this;
}

Completion run_request(Backend& backend, Request request) {
    backend.submit(0, std::move(request));
    for (;;) {
        std::vector<Completion> completed = backend.poll(std::chrono::milliseconds(100));
        if (!completed.empty()) return std::move(completed.front());
    }
}

}  // namespace dln
