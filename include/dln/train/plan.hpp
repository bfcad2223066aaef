#pragma once
// What a training run will ask of its backend, before any of it is paid for: requests, tokens, and how long
// the longest chain of requests is that wait for each other. Rank 0 only.
//
// Sizes are measured: the tokeniser counts, and the model writes a few texts. What nobody can know before the
// run, which candidates win, is drawn: the run is simulated many times, by the trainer's rules or, with several
// layers, by the trainer's own steps. Faults, further tries and second copies of requests are not in a plan.

#include <array>
#include <cstdint>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/llm/request_cost.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// Requests for scores and for texts, which differ in their speed.
struct PlannedWork {
    RequestCost scores;
    RequestCost texts;
    PlannedWork& operator+=(const PlannedWork& other);
    [[nodiscard]] PlannedWork operator*(double factor) const;
    [[nodiscard]] RequestCost sum() const { return scores + texts; }
};

/// How long texts were that the model wrote for the plan, in tokens.
struct SampledLength {
    double tokens = 0.0;    ///< mean; the most that may be drawn where none was written
    double error = 0.0;     ///< standard error of the mean
    std::size_t texts = 0;  ///< how many were written
};

/// Some of the requests of a run, evenly over it.
struct SampledRequests {
    std::vector<ScoreRequest> scores;    ///< whole ones, as their units ask
    std::vector<GenerateRequest> texts;  ///< of an item each
};

/// A share of the requests, each waiting for one before it.
struct RequestChain {
    std::int64_t scores = 0;
    std::int64_t texts = 0;
    [[nodiscard]] std::int64_t length() const { return scores + texts; }
    RequestChain& operator+=(const RequestChain& other);
    [[nodiscard]] RequestChain times(std::int64_t count) const;
};

/// What a plan rests on.
struct PlanBasis {
    SampledLength replies;    ///< to proposals
    SampledLength outputs;    ///< of the last layer, where it writes texts
    double usable = 1.0;      ///< share of proposals that become new candidates
    double candidates = 0.0;  ///< compared in a step, in the mean
    double wins = 0.0;        ///< steps that replace the incumbent
    double dev_evaluations = 0.0;
    double chance = 0.0;  ///< share of the simulated runs in which only chance tells prompts apart
    bool is_chance_measured = false;
    bool is_rehearsed = false;  ///< the trainer's own steps were gone through
    /// Then how many answers were right under the initial prompts, of so many looked at.
    double right = 0.0;
    std::size_t answers = 0;
    std::vector<SampledLength> latents;  ///< what hidden layers write, by layer
    std::vector<SampledLength> samples;  ///< and posterior samples of it
    std::vector<std::string> prompts;    ///< that the model proposed for the plan, each once
    SampledRequests requests;            ///< of a rehearsed run
    // What making the plan cost, each model at its own prices.
    Usage sent;
    Usage sent_backward;  ///< of a backward model with a backend of its own
};

struct PlanPart {
    PlannedWork expected;
    /// For texts of the sampled kinds no run needs more: all candidates are new, all evaluations paid, every
    /// text as long as it may be.
    PlannedWork most;
};

struct Plan {
    std::int64_t steps = 0;
    std::int64_t dev_rounds = 0;  ///< times that dev is evaluated on, each for some candidates
    PlanPart training;            ///< all steps
    PlanPart dev;
    PlanPart test;   ///< trained and initial prompts
    PlanPart probe;  ///< before the first step; only of servers, which are paid for it
    /// Expected from the run's own journal: what is asked for again costs nothing, but budgets count it.
    RequestCost recalled;
    /// Nine of ten simulated runs lie between, each number for itself.
    RequestCost low;
    RequestCost high;
    RequestChain step_chain;      ///< of a step that has something to learn
    RequestChain training_chain;  ///< of all steps, in expectation
    RequestChain dev_chain;       ///< of one round
    RequestChain test_chain;
    PlanBasis basis;
    [[nodiscard]] PlanPart total() const;
    [[nodiscard]] RequestChain longest_chain() const;
};

struct PlanOptions {
    bool samples_texts = true;  ///< false: the model writes nothing, lengths are the most allowed
    /// Then how much prompts differ is measured too, with some requests for scores; its other ranks must
    /// serve. Null: assumed.
    Engine* engine = nullptr;
    /// Scores that all rehearsals of a run together may draw: more take longer and foretell more evenly.
    double drawn_scores = 150'000.0;
};

/// `splits` are train, dev, test. `backward` is the forward model's backend where the job names no other. Pre: nothing
/// is pending on either.
[[nodiscard]] Plan make_plan(const Job& job,
                             const Network& network,
                             const std::vector<Dataset>& splits,
                             Backend& forward,
                             Backend& backward,
                             const PlanOptions& options = {});

/// How fast a backend answers requests of a job, measured.
struct PlanSpeed {
    double score_seconds = 0.0;      ///< of a request for scores that is alone
    double text_seconds = 0.0;       ///< of a text that is alone
    double scores_per_second = 0.0;  ///< with as many in flight as the job allows
    double texts_per_second = 0.0;
    double requests_per_minute = 0.0;  ///< that the job allows; 0: any number
    double tokens_per_minute = 0.0;
    std::size_t in_flight = 1;  ///< requests beside each other in the measurement
    Usage sent;
};

/// Asks `backend` for some dozens of the job's own requests: those of `basis` that were sampled from a rehearsed
/// run, else some with proposed prompts as often as a run has them: requests of long contexts take longer.
/// `ranks` compute beside each other where the model is in the process. Pre: nothing is pending on `backend`.
[[nodiscard]] PlanSpeed measure_speed(const Job& job,
                                      const Network& network,
                                      const std::vector<Dataset>& splits,
                                      Backend& backend,
                                      const PlanBasis& basis,
                                      int ranks);

struct PlanTime {
    double chain_seconds =
        0.0;               ///< of the longest chain, were there no limit to what runs at a time
    double seconds = 0.0;  ///< chain and throughput together
};
[[nodiscard]] PlanTime time_of(const Plan& plan, const PlanSpeed& speed);

}  // namespace dln
