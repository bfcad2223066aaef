#pragma once
// One training step of a one-layer network (DLN-1; design, "Training one layer"; arXiv 2306.12509,
// section 3.1): forward, propose, score, select, as one dependency graph. Rank 0 only.

#include <cstdint>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/batch.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/propose.hpp"
#include "dln/train/select.hpp"
#include "dln/train/state.hpp"

namespace dln {

/// What training works with; all of it lives on rank 0 and outlives the step.
struct TrainContext {
    const Job& job;
    const Network& network;
    const std::vector<Dataset>& splits;
    Engine& engine;
    Backend& backend;  ///< for counting tokens only
    const BatchSampler& batches;
    const Proposer& proposer;
};

/// A candidate of the step and where it came from.
struct StepCandidate {
    LayerParameters parameters;
    std::string origin;  ///< "incumbent", "memory", "template", or the proposal template's name
};

/// A generation that was asked for a prompt.
struct ProposalRecord {
    std::string template_name;
    std::string reply;   ///< as the model wrote it; empty when it failed or was never sent
    std::string prompt;  ///< what was made of it; empty when nothing could be
};

/// All that a step saw and decided.
struct StepRecord {
    std::int64_t step = 0;
    std::vector<std::uint64_t> batch;
    std::vector<std::uint64_t> ranked_on;  ///< examples that candidates are scored on
    std::vector<ExampleOutcome> forward;   ///< by example of `batch`
    std::vector<ProposalRecord> proposals;
    std::vector<StepCandidate> candidates;              ///< the incumbent first, no duplicates
    std::vector<std::vector<ExampleOutcome>> outcomes;  ///< [candidate][example of ranked_on]
    std::vector<CandidateScore> scores;                 ///< by candidate
    std::size_t chosen = 0;
    Usage usage;
    std::int64_t failures = 0;
    std::string first_failure;
    std::size_t proposals_too_long = 0;  ///< not asked for: too long even without examples
    int proposal_tokens = 0;  ///< context that the shortest of those needs, with its reply
};

/// Computes a step; changes nothing but the engine's progress.
[[nodiscard]] StepRecord run_step(const TrainContext& context, const TrainState& state);

/// Writes what the step saw below "step/".
void write_step(const StepRecord& record, StepDocument& document);

}  // namespace dln
