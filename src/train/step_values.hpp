#pragma once
// From the scores of a step to weights and to what candidates are worth, by the formulas of inference.hpp, and to
// what proposals are made from. Rank 0; reads, asks for nothing.

#include <string>
#include <vector>

#include "dln/train/step.hpp"

#include "train/latent_sampler.hpp"
#include "train/step_scores.hpp"

namespace dln {

/// How a job weighs its samples.
[[nodiscard]] WeightRule weight_rule(const PosteriorSpec& posterior);

class StepValues {
  public:
    /// All must outlive this object.
    StepValues(const TrainContext& context,
               const TrainState& state,
               const StepScores& scores,
               const LatentSampler& sampler,
               StepRecord& record);

    /// False when weights follow from the number of samples alone.
    [[nodiscard]] bool needs_terms() const;
    [[nodiscard]] bool counts_prior() const;
    /// Fills in the record's terms and weights. Pre: the terms' tasks are complete.
    void weigh();
    /// What each expert of a mixture layer is worth on each example, without terms that count against candidates.
    /// Pre: weighed; the experts' tasks are complete.
    [[nodiscard]] std::vector<ExampleValues> expert_values(std::size_t layer) const;
    /// What a candidate for a layer's expert is worth on each example. Pre: weighed; the candidate's tasks are
    /// complete.
    [[nodiscard]] ExampleValues values(std::size_t layer,
                                       std::size_t expert,
                                       const LayerParameters& candidate) const;
    /// Of a last layer's candidate from the incumbent, on the forward pass.
    [[nodiscard]] ExampleValues divergence(std::size_t expert,
                                           const LayerParameters& candidate) const;
    /// log p of the forward pass's latents that led to errors; 0 for what the network got right.
    [[nodiscard]] ExampleValues error_scores(std::size_t layer,
                                             const LayerParameters& candidate) const;

    /// Fills in what a layer's candidates scored, and what was counted against them. Pre: their tasks are complete.
    void fill_in(LayerRecord& layer) const;

  private:
    // Of a layer's incumbent, each example by the expert that answers it; `layer` may be without_residual().
    [[nodiscard]] ScoreTable incumbent_table(std::size_t layer) const;

    const TrainContext& context_;
    const NetworkParameters& incumbent_;
    std::size_t last_layer_;
    const StepScores& scores_;
    const LatentSampler& sampler_;
    StepRecord& record_;
};

/// False where only right answers count; they then weigh samples, too, and a model need not give any
/// log-probabilities.
[[nodiscard]] bool counts_log_probs(const TrainContext& context);

/// The first `shown` positions, or of a mixture layer those of them that the expert owns.
[[nodiscard]] std::vector<std::size_t> shown_positions(const StepRecord& record,
                                                       std::size_t shown,
                                                       std::size_t layer,
                                                       std::size_t expert);

/// What proposals for the last layer are made from: the positions in `shown`, and what the network said of them
/// (`outputs`, of networks without classes).
[[nodiscard]] ProposalInput last_layer_input(const TrainContext& context,
                                             const StepRecord& record,
                                             const std::vector<std::size_t>& shown,
                                             const std::vector<std::string>& outputs);

/// For a hidden layer: the best sample is the wanted output, and what the forward pass said the given one.
[[nodiscard]] ProposalInput hidden_layer_input(const TrainContext& context,
                                               const StepRecord& record,
                                               const std::vector<std::size_t>& shown,
                                               std::size_t layer);

}  // namespace dln
