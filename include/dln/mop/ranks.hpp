#pragma once
// What the ranks of a run do together for a mixture: gradients of batches, rounds of clients, losses of splits. Rank 0
// asks; the others serve. Results are the same for any number of ranks, to the last bit: sums over texts are of
// integers, and what clients send is averaged in their order.

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/job/mop_job.hpp"
#include "dln/mop/loss.hpp"
#include "dln/mop/mixture.hpp"
#include "dln/mop/texts.hpp"
#include "dln/train/batch.hpp"

namespace dln::mop {

/// How the job's gate is used in training.
[[nodiscard]] GateUse gate_use(const MopJob& job);

/// What one step or round did to the parameters' loss.
struct TrainedStep {
    double nll = 0.0;  ///< of all answer tokens, before the parameters were changed
    std::int64_t tokens = 0;
    /// A loss or gradient is no finite number, or as large as none should be. What else is here is of no use then.
    bool has_diverged = false;
};

struct BatchGradient {
    TrainedStep step;
    MixtureParameters gradient;  ///< of the mean loss of a token
};

struct RoundAverage {
    TrainedStep step;
    MixtureParameters parameters;       ///< the clients', averaged
    std::vector<std::int64_t> clients;  ///< that took part
};

/// Losses of a whole split, text by text.
struct SplitLosses {
    std::vector<TextLoss> losses;
    nn::Matrix gate;  ///< g, [texts, E]
};

struct ClientResult;

class MixtureRanks {
  public:
    struct Setting {
        const MopJob& job;
        MixtureModel model;
        MixtureShape shape;
        std::array<const MixtureTexts*, 3> splits;  ///< train, dev, test
        /// Whether this rank was asked to stop.
        std::function<bool()> is_stop_asked = {};
        /// Called between pieces of work of this rank. What it throws on rank 0 comes out of the result under way, once
        /// the other ranks have done their part: they can be given other work then.
        std::function<void()> on_turn = {};
    };
    /// Collective. Throws UsageError, the same on all ranks, when a client has no example.
    MixtureRanks(Communicator& comm, Setting setting);

    // Rank 0.
    /// Of the batch of step `step`, which counts from 0.
    [[nodiscard]] BatchGradient gradient(const MixtureParameters& parameters, std::int64_t step);
    /// A round of the federation: local steps of the clients that take part, and their average.
    [[nodiscard]] RoundAverage round(const MixtureParameters& parameters, std::int64_t round);
    [[nodiscard]] SplitLosses evaluate(const MixtureParameters& parameters, std::size_t split);
    /// Whether some rank was asked to stop, as of the last result.
    [[nodiscard]] bool is_stop_asked() const noexcept { return is_stop_asked_; }
    /// Lets the other ranks return from serve().
    void end();

    // The other ranks: until rank 0 calls end().
    void serve();

  private:
    enum class Work : char { gradient = 'g', round = 'r', evaluate = 'e', end = 'q' };
    struct Order;

    void give(Work work, std::int64_t number, const MixtureParameters& parameters);
    [[nodiscard]] std::vector<std::int64_t> gradient_cells(const MixtureParameters& parameters,
                                                           std::int64_t step);
    [[nodiscard]] std::vector<std::int64_t> loss_cells(const MixtureParameters& parameters,
                                                       std::size_t split);
    [[nodiscard]] std::vector<ClientResult> train_clients(const MixtureParameters& parameters,
                                                          std::int64_t round);
    [[nodiscard]] std::vector<std::int64_t> sum(std::vector<std::int64_t> cells);
    [[nodiscard]] bool is_mine(std::size_t unit) const;
    void turn();
    void try_own_share(const std::function<void()>& work);
    [[nodiscard]] bool asked_here() const;

    Communicator& comm_;
    Setting setting_;
    BatchSampler batches_;
    std::vector<std::vector<std::size_t>> clients_;
    bool is_stop_asked_ = false;
    std::exception_ptr failure_;  // rank 0's, of the work under way
};

}  // namespace dln::mop
