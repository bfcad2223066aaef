#pragma once
// Training of a mixture of prompts (arXiv 2310.02842) from start, or from the newest usable step file, to the end: teach
// the gate, then steps or rounds with dev evaluations, each saved; then the test evaluation. Rank 0; the other ranks
// serve its MixtureRanks.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/error.hpp"
#include "dln/job/mop_job.hpp"
#include "dln/mop/ranks.hpp"
#include "dln/mop/split_result.hpp"
#include "dln/mop/state.hpp"
#include "dln/mop/texts.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/trainer.hpp"

namespace dln::mop {

/// What happens during training, for whoever shows it.
class MopObserver {
  public:
    virtual ~MopObserver() = default;
    virtual void resumed(const MopState& state, const std::vector<std::string>& skipped) = 0;
    virtual void taught_gate(double loss) = 0;  ///< nats
    virtual void stepped(const MopState& state, const TrainedStep& step, double seconds) = 0;
    virtual void evaluated_dev(const MopState& state, const SplitSums& dev, bool is_best) = 0;
    virtual void warned(const std::string& message) = 0;
};

struct MopContext {
    const MopJob& job;
    MixtureRanks& ranks;
    MixtureShape shape;
    std::array<const MixtureTexts*, 3> splits;  ///< train, dev, test; empty ones have no text
};

struct MopOutcome {
    MopState state;
    std::optional<SplitLosses> test;  ///< with the best parameters
    double seconds = 0.0;             ///< of all processes of the run
};

/// A loss or parameter is no finite number any more, or as large as none should be. The newest step file is the last good step; diverged.json says what happened.
class DivergedError : public UsageError {
  public:
    using UsageError::UsageError;
};

/// Parameters that a run begins with: prompts from training texts, and a gate that knows the tasks if the job says so;
/// `loss` is then what that came to.
struct InitialMixture {
    MixtureParameters parameters;
    std::optional<double> gate_loss;
};
[[nodiscard]] InitialMixture begin_mixture(const MopJob& job,
                                           const MixtureShape& shape,
                                           const MixtureTexts& train);

/// Runs the job to its end. Throws DivergedError; CheckpointError when step files are there but none can be used; Error
/// when the disk refuses; StoppedError when `end.stop`, or a signal on any rank, asks for it.
[[nodiscard]] MopOutcome train_mixture(const MopContext& context,
                                       RunDirectory& run,
                                       CheckpointStore& store,
                                       const StepHeader& header,
                                       MopObserver& observer,
                                       const TrainEnd& end = {});

}  // namespace dln::mop
