#pragma once
// What a person sees of a training run: one line an event, plain in a batch log; on a terminal a progress
// line besides, where the lines go to standard output.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "dln/job/job.hpp"
#include "dln/train/trainer.hpp"

namespace dln {

class TrainDisplay : public TrainObserver {
  public:
    /// Lines go to `out`, which outlives the display.
    TrainDisplay(const Job& job, int ranks, std::FILE* out);
    /// The first lines: what is trained on what. `backward` describes the backward model's backend; empty: it
    /// has none of its own.
    void begin(const std::string& backend,
               const std::string& backward,
               std::size_t train,
               std::size_t dev,
               std::size_t test);
    /// How many replies of model servers the journal holds.
    void holds(std::int64_t replies);
    /// Examples are chosen by an embedding; what makes it.
    void embeds_by(const std::string& embedding) const;
    void resumed(const TrainState& state, const std::vector<std::string>& skipped) override;
    void evaluated_dev(const TrainState& state, const DevResult& dev, bool is_best) override;
    void stepped(const StepRecord& record, const TrainState& state, double seconds) override;
    void progressed(const TrainState& state, const EngineProgress& progress) override;
    void warned(const std::string& message) override;
    /// The summary of a complete run.
    void finished(const TrainOutcome& outcome);

  private:
    template <class... Args>
    void say(fmt::format_string<Args...> form, Args&&... args) const;
    [[nodiscard]] std::string describe_dev(const DevResult& dev) const;
    [[nodiscard]] const std::string& template_name(std::size_t layer,
                                                   const LayerParameters& parameters) const;
    void show_layer(std::size_t layer, const LayerParameters& parameters);
    [[nodiscard]] RequestCost served_cost(const Spending& spent) const;
    void clear_bar();
    void show_bar(const TrainState& state, const EngineProgress& progress);

    const Job& job_;
    int ranks_;
    std::FILE* out_;
    bool on_terminal_;
    std::chrono::steady_clock::time_point start_;
    std::int64_t first_step_ = 0;
    NetworkParameters shown_;  ///< the last whose prompts were printed
    std::chrono::steady_clock::time_point bar_shown_;
};

/// The summary line of an evaluation: accuracy with its 95 % Wilson interval, log-likelihood.
[[nodiscard]] std::string describe(const Evaluation& evaluation);

}  // namespace dln
