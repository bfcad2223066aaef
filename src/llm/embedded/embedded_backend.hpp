#pragma once
// The Backend over llama.cpp: requests in order of submission, one decode a poll.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "dln/llm/embedded.hpp"
#include "dln/llm/model_file.hpp"

#include "llm/embedded/decoder.hpp"
#include "llm/embedded/llama_model.hpp"
#include "llm/embedded/work.hpp"

namespace dln {

class EmbeddedBackend : public Backend {
  public:
    explicit EmbeddedBackend(const EmbeddedOptions& options);

    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override;
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override;
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 1; }
    [[nodiscard]] int count_tokens(const Context& context) override;

    /// For the yardsticks of embedded.hpp.
    [[nodiscard]] Decoder& decoder() noexcept { return decoder_; }
    [[nodiscard]] const LlamaTokenizer& tokenizer() const noexcept { return tokenizer_; }

  private:
    struct Entry {
        std::uint64_t id;
        Request request;
    };
    EmbeddedBackend(const EmbeddedOptions& options, const ModelFile& file);
    [[nodiscard]] std::unique_ptr<Work> start(ScoreRequest request);
    [[nodiscard]] std::unique_ptr<Work> start(GenerateRequest request);
    [[nodiscard]] std::unique_ptr<Work> start(const EmbedRequest& request);

    LlamaModelHandle model_;
    LlamaTokenizer tokenizer_;
    Decoder decoder_;
    int context_tokens_;
    BackendInfo info_;
    std::deque<Entry> waiting_;
    std::unique_ptr<Work> work_;
    std::uint64_t work_id_ = 0;
};

}  // namespace dln
