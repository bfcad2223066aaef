#pragma once
// Training from start, or from the newest usable step file, to the end: step, evaluate on dev, remember,
// save; then the test evaluation. Rank 0 only; the other ranks serve its engine.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "dln/engine/budget.hpp"
#include "dln/error.hpp"
#include "dln/report/statistics.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/state.hpp"
#include "dln/train/step.hpp"

namespace dln {

/// What happens during training, for whoever shows it.
class TrainObserver {
  public:
    virtual ~TrainObserver() = default;
    virtual void resumed(const TrainState& state, const std::vector<std::string>& skipped) = 0;
    virtual void evaluated_dev(const TrainState& state, const DevResult& dev, bool is_best) = 0;
    virtual void stepped(const StepRecord& record, const TrainState& state, double seconds) = 0;
    /// Often, while a step or an evaluation is being computed; must be cheap.
    virtual void progressed(const TrainState& state, const EngineProgress& progress) = 0;
    virtual void warned(const std::string& message) = 0;
};

/// How a complete or paused run did. The initial parameters are evaluated on test too, so that the gain can be
/// tested pairwise.
struct TrainOutcome {
    NetworkParameters parameters;  ///< the best on dev, or the last without dev
    std::optional<Evaluation> test;
    std::optional<Evaluation> test_initial;
    std::string test_data;  ///< Dataset::digest of the test split; empty without one
    PairedTest gain;        ///< initial against trained, on test
    TrainState state;
    Spending spent;             ///< by the whole run, the evaluations on test included
    std::int64_t recalled = 0;  ///< replies that the journal held, of those
    BackendCounts counts;       ///< of this process, all ranks
};

/// What the probe before a run's first step found out.
struct ProbedBackend {
    double noise_floor = 0.0;
    Usage used;           ///< what the run was billed for it: counts as spent
    Usage backward_used;  ///< the backward model's part, where the job has one
};

/// Why the run should stop now, e.g. "SIGUSR1"; empty: it should not. Asked often, so it must be cheap.
using StopRequest = std::function<std::string()>;

/// How long calls that are under way are waited for when a run is asked to stop. Those of model servers may take
/// longer; their replies are lost then.
inline constexpr std::chrono::seconds kStopGrace{5};

/// The run was asked to stop, and did: the newest step file and the journal are what to go on from.
class StoppedError : public Error {
  public:
    explicit StoppedError(const std::string& message) : Error(ExitCode::submit_again, message) {}
};

/// When a run comes to an end, if it does so before the job's.
struct TrainEnd {
    StopRequest stop = {};  ///< asked for on the way
    /// Steps after which the run pauses: it has results then, but none on test, and goes on as if it had not paused
    /// when `eval_every` divides them. 0: it does not.
    std::int64_t pause_after = 0;
};

/// Runs the job to its end. `program_version` goes into step files; `ranks` into their timing. Throws
/// UsageError for a network that cannot be trained (yet), CheckpointError when step files are there but
/// none can be used, Error when the disk refuses a step file, BudgetError when the job's budget is spent
/// and work is left: then the newest step file, the journal and spent.json are what to go on from. Where
/// there is no journal the step under way is completed first. Throws StoppedError when `end.stop`, or another rank
/// (Engine::ask_to_halt_when), asks for it before the end, no later than kStopGrace afterwards.
[[nodiscard]] TrainOutcome train(const TrainContext& context,
                                 RunDirectory& run,
                                 CheckpointStore& store,
                                 const StepHeader& header,
                                 const ProbedBackend& probed,
                                 TrainObserver& observer,
                                 const TrainEnd& end = {});

/// Throws BudgetError when earlier processes of the run have spent the job's budget. Not when one was killed before
/// it had written what follows from the newest step file: train() does that and throws then. Before any model call;
/// throws as load_newest does.
void check_budget_left(const Job& job, const RunDirectory& run, CheckpointStore& store);

/// Throws UsageError when the job's network cannot be trained, with the reason. Before any model call.
void check_trainable(const Job& job);

/// Throws UsageError when all examples of `train` are shown as few-shot examples, so that none is left to train
/// on. Before any model call.
void check_examples_left(const Job& job, const Network& network, const Dataset& train);

/// True when weights count how probable posterior samples were when they were drawn (log q): the backward model
/// must be able to score them.
[[nodiscard]] bool scores_samples(const Job& job);

/// The batches that a job trains on: all training examples but those shown as few-shot, in one group or
/// one a class.
[[nodiscard]] BatchSampler make_batches(const Job& job,
                                        const Network& network,
                                        const Dataset& train);

}  // namespace dln
