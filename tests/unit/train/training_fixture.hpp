#pragma once
// A one-layer job on a scripted backend, one rank. Inputs are "sun ..." (yes) and "rain ..." (no). The
// incumbent "P" knows nothing; scripted prompts know more or less.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dln/train/trainer.hpp"

#include "support/small_job.hpp"
#include "unit/engine/replies.hpp"

namespace dln::testing {

/// Passes requests on and keeps them.
class RecordingBackend : public Backend {
  public:
    explicit RecordingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}
    [[nodiscard]] const BackendInfo& info() const noexcept override { return inner_->info(); }
    void submit(std::uint64_t id, Request request) override {
        if (const auto* score = std::get_if<ScoreRequest>(&request)) {
            for (const auto& item : score->items) scored_.push_back(item.context.text);
        } else {
            for (const auto& item : std::get<GenerateRequest>(request).items) {
                continued_.push_back(item.context.text);
            }
        }
        inner_->submit(id, std::move(request));
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override {
        return inner_->poll(timeout);
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return inner_->wanted_requests();
    }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return inner_->count_tokens(context);
    }
    /// Contexts of all requests so far.
    [[nodiscard]] const std::vector<std::string>& scored() const { return scored_; }
    [[nodiscard]] const std::vector<std::string>& continued() const { return continued_; }

  private:
    std::unique_ptr<Backend> inner_;
    std::vector<std::string> scored_;
    std::vector<std::string> continued_;
};

/// `count` examples, half of them yes; `mark` ends each input.
inline Dataset weather(int count, const std::string& mark = "") {
    Dataset data;
    for (int i = 0; i < count; ++i) {
        data.add((i % 2 == 0 ? "sun " : "rain ") + std::to_string(i) + mark,
                 i % 2 == 0 ? "yes" : "no");
    }
    return data;
}

/// Replies under which `prompt` gives the right class the log-probability `right` and the other `wrong`.
inline std::vector<std::string> knows(const std::string& prompt, double right, double wrong) {
    return {scores(prompt + "\nsun", "\nyes", right), scores(prompt + "\nsun", "\nno", wrong),
            scores(prompt + "\nrain", "\nno", right), scores(prompt + "\nrain", "\nyes", wrong)};
}

inline std::vector<std::string> joined(const std::vector<std::vector<std::string>>& parts) {
    std::vector<std::string> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

/// A step asks for `templates` proposals, with "PROPOSE m0 <prompt>", "PROPOSE m1 <prompt>", ...
inline Job training_job(std::size_t templates = 3) {
    Job job = class_job();
    job.seed = 3;
    job.scoring.block = 3;
    job.train.batch_size = 8;
    job.train.candidates = templates + 1;
    for (std::size_t i = 0; i < templates; ++i) {
        const std::string name = "m" + std::to_string(i);
        job.train.proposals.templates.push_back({.name = name,
                                                 .text = "PROPOSE " + name + " {{prompt}}",
                                                 .messages = {},
                                                 .chat = false});
    }
    job.train.proposals.block = 2;
    return job;
}

/// All that a step or a run needs, on one rank.
class Bench {
  public:
    Bench(const Job& job,
          const std::vector<Dataset>& splits,
          const std::vector<std::string>& replies,
          const ScriptedOptions& options = {})
        : Bench(job, splits, scripted(replies, options)) {}
    /// Without `backward` the one backend is both models'.
    Bench(const Job& job,
          const std::vector<Dataset>& splits,
          std::unique_ptr<Backend> backend,
          std::unique_ptr<Backend> backward = nullptr)
        : job_(job),
          splits_(splits),
          network_(job_, splits_[0]),
          backend_(std::move(backend)),
          backward_(backward ? std::make_unique<RecordingBackend>(std::move(backward)) : nullptr),
          runner_(network_, splits_, backend_, job_.seed, backward_.get()),
          engine_(*comm_, runner_),
          batches_(make_batches(job_, network_, splits_[0])),
          proposer_(job_.train.proposals),
          posterior_(job_.train.posterior) {}
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    [[nodiscard]] TrainContext context() {
        return {.job = job_,
                .network = network_,
                .splits = splits_,
                .engine = engine_,
                .backward = backward_ ? *backward_ : backend_,
                .batches = batches_,
                .proposer = proposer_,
                .posterior = posterior_};
    }
    [[nodiscard]] TrainState initial() const {
        TrainState state;
        state.current = network_.initial_parameters();
        return state;
    }
    [[nodiscard]] const RecordingBackend& backend() const { return backend_; }
    /// Pre: there is one.
    [[nodiscard]] const RecordingBackend& backward() const { return *backward_; }

  private:
    Job job_;
    std::vector<Dataset> splits_;
    Network network_;
    RecordingBackend backend_;
    std::unique_ptr<RecordingBackend> backward_;
    NetworkRunner runner_;
    std::unique_ptr<Communicator> comm_ = make_local_communicator();
    Engine engine_;
    BatchSampler batches_;
    Proposer proposer_;
    PosteriorSampler posterior_;
};

/// The prompt of every candidate of the trained layer at `layer`, in order.
inline std::vector<std::string> prompts_of(const StepRecord& record, std::size_t layer = 0) {
    std::vector<std::string> prompts;
    for (const StepCandidate& candidate : record.layers.at(layer).candidates) {
        prompts.push_back(candidate.parameters.prompt);
    }
    return prompts;
}

inline const std::string& chosen_prompt(const StepRecord& record, std::size_t layer = 0) {
    return record.layers.at(layer).chosen_parameters().prompt;
}

}  // namespace dln::testing
