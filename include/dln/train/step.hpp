#pragma once
// One training step (docs/design.md, "Training one layer" and "Training several layers"; arXiv 2306.12509,
// sections 3 and 4): forward, sample and weigh latents, propose, score, select, as one dependency graph. Rank 0
// only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/engine.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/batch.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/inference.hpp"
#include "dln/train/latents.hpp"
#include "dln/train/posterior.hpp"
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
    Backend& backward;  ///< the backward model's, for counting tokens only
    const BatchSampler& batches;
    const Proposer& proposer;
    const PosteriorSampler& posterior;
    const InputEmbeddings* inputs = nullptr;  ///< what gates see; null in networks without mixtures
};

/// A candidate of the step and where it came from.
struct StepCandidate {
    LayerParameters parameters;
    std::string
        origin;  ///< "incumbent", "memory", "initial", "template", or the proposal template's name
};

/// A generation that was asked for a prompt, or what was made without a model.
struct ProposalRecord {
    std::string template_name;
    std::string reply;   ///< as the model wrote it; empty when it failed or was never sent
    std::string prompt;  ///< what was made of it; empty when nothing could be
    std::optional<LayerParameters> parameters = {};  ///< of a proposal of words, `prompt` in them

    [[nodiscard]] bool is_made() const { return parameters || !prompt.empty(); }
    /// What a proposal of words came to.
    void take(std::optional<LayerParameters> made) {
        parameters = std::move(made);
        if (parameters) prompt = parameters->prompt;
    }
};

/// How a step shares out its batch among the experts of a mixture layer. Tables are [position * experts + expert].
struct MixtureRecord {
    std::size_t layer = 0;
    std::size_t experts = 0;
    std::vector<double> log_gate;     ///< before the step
    std::vector<std::size_t> routed;  ///< by position: who answers in the forward pass
    /// r_ie (network/gate.hpp); all 0 where no expert has a score. Empty: the step did not get so far.
    std::vector<double> responsibilities;

    /// Of `expert`, by position.
    [[nodiscard]] std::vector<double> shares_of(std::size_t expert) const;
    /// True where no other expert has a larger share of a position; of equal ones the first owns it.
    [[nodiscard]] bool owns(std::size_t expert, std::size_t position) const;
};

/// What a step saw and decided for one trained layer, or one expert of it. Tables are [position in the batch][sample].
struct LayerRecord {
    std::size_t layer = 0;
    std::size_t expert = 0;
    std::vector<ProposalRecord> proposals;
    std::vector<StepCandidate> candidates;  ///< the incumbent first, no duplicates
    std::vector<ScoreTable> tables;         ///< by candidate: raw scores on the samples
    /// By candidate: KL from the incumbent on the forward pass; none where it is not counted.
    std::vector<ExampleValues> divergence;
    /// By candidate: log p of latents that led to errors; none where it is not counted.
    std::vector<ExampleValues> error_scores;
    /// By candidate, in jobs that calibrate: class log-probabilities before it, [position * samples + sample], and
    /// the prior that they were calibrated by; none otherwise.
    std::vector<std::vector<ClassLogProbs>> class_log_probs;
    std::vector<ClassLogProbs> class_log_priors;
    std::vector<CandidateScore> scores;  ///< by candidate
    std::size_t chosen = 0;

    [[nodiscard]] const LayerParameters& chosen_parameters() const {
        return candidates[chosen].parameters;
    }
};

/// All that a step saw and decided.
struct StepRecord {
    std::int64_t step = 0;
    std::vector<std::uint64_t> batch;
    std::vector<std::size_t> ranked_on;  ///< positions in the batch that candidates are compared on
    std::vector<ExampleOutcome> forward;  ///< by position
    ClassLogProbs
        forward_class_log_prior;  ///< that the forward pass was calibrated by; empty: by none
    BatchLatents latents;
    WeightTerms terms;  ///< tables that were not needed are empty
    Weights weights;
    double error_factor = 0.0;  ///< of this step's log-p penalty
    std::vector<LayerRecord>
        layers;  ///< the trained ones, first layer first, with all their experts
    std::vector<MixtureRecord> mixtures;  ///< of the mixture layers among them
    bool nothing_to_learn = false;        ///< the batch had no error where only these teach
    Usage usage;
    std::optional<Usage>
        backward_usage;  ///< the backward model's part; none: it has no own backend
    std::int64_t failures = 0;
    std::string first_failure;
    std::int64_t empty_samples = 0;      ///< posterior samples without any text
    std::size_t proposals_too_long = 0;  ///< not asked for: too long even without examples
    int proposal_tokens = 0;  ///< context that the shortest of those needs, with its reply
};

/// Of a layer; null where it is no mixture.
[[nodiscard]] const MixtureRecord* mixture_of(const StepRecord& record, std::size_t layer);
/// Who answers in the forward pass; 0 where the layer is no mixture.
[[nodiscard]] std::size_t expert_at(const StepRecord& record,
                                    std::size_t layer,
                                    std::size_t position);

/// Computes a step; changes nothing but the engine's progress. Throws BackendError when no posterior sample
/// has a weight, or none of a layer's candidates a score.
[[nodiscard]] StepRecord run_step(const TrainContext& context, const TrainState& state);

/// What the step chose, the other layers as in `current`.
[[nodiscard]] NetworkParameters chosen_parameters(const StepRecord& record,
                                                  const NetworkParameters& current);

/// Writes what the step saw below "step/".
void write_step(const StepRecord& record, StepDocument& document);

}  // namespace dln
