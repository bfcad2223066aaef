#pragma once
// What a person sees of a mixture of prompts.

#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "dln/job/mop_job.hpp"
#include "dln/mop/trainer.hpp"

#include "cli/mop_session.hpp"

namespace dln {

/// "300 examples, perplexity 1.5321, accuracy 0.8100".
[[nodiscard]] std::string describe(const mop::LossSum& sum);

/// Of all texts and of each task: perplexity and accuracy with 95 % intervals, and which experts it heeds.
[[nodiscard]] std::string describe(const MopJob& job,
                                   const mop::SplitLosses& losses,
                                   const mop::MixtureTexts& texts);

class MopDisplay : public mop::MopObserver {
  public:
    /// Lines go to `out`, which outlives the display.
    MopDisplay(const MopSession& session, int ranks, std::FILE* out);
    void begin() const;
    void resumed(const mop::MopState& state, const std::vector<std::string>& skipped) override;
    void taught_gate(double loss) override;
    void stepped(const mop::MopState& state, const mop::TrainedStep& step, double seconds) override;
    void evaluated_dev(const mop::MopState& state,
                       const mop::SplitSums& dev,
                       bool is_best) override;
    void warned(const std::string& message) override;
    void finished(const mop::MopOutcome& outcome) const;

  private:
    template <class... Args>
    void say(fmt::format_string<Args...> form, Args&&... args) const;

    const MopSession& session_;
    const MopJob& job_;
    int ranks_;
    std::FILE* out_;
};

}  // namespace dln
