#pragma once
// From a call to its answer: which dialect serves which path in which flavour. No sockets, no time.

#include "api.hpp"
#include "dialects.hpp"

namespace fake_llm {

class Service {
  public:
    /// Throws dln::UsageError when the scripted lines cannot be read. `options` must outlive this.
    explicit Service(const Options& options);

    /// True for calls that make the model work: these take slots and have latency, limits and faults.
    [[nodiscard]] static bool is_work(std::string_view method, std::string_view path);

    /// Never throws for what is in a call: an error is an answer with its status.
    [[nodiscard]] Answer answer(const Call& call);

  private:
    [[nodiscard]] Answer work(const Call& call);
    [[nodiscard]] Answer completions(const Call& call);
    [[nodiscard]] Answer generate(const Call& call) const;
    [[nodiscard]] Answer look_up(const Call& call) const;
    [[nodiscard]] static Answer not_found();

    const Options& options_;
    Language language_;
    Backstage backstage_;
    LlamaServer llama_server_;
};

}  // namespace fake_llm
