#pragma once
// Scores of a run that is rehearsed: what a model says of texts is drawn in place of the model. A score is a pure
// function of what is scored and of the run, as a model's is. Rank 0 only.

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dln/engine/network_runner.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// What one rehearsal takes for granted.
struct RehearsalMood {
    std::uint64_t number = 0;  ///< of the rehearsal
    double right = 0.5;        ///< share of right answers under the initial prompts
    /// How much candidates differ in truth, in units of the noise that a batch leaves in their scores.
    double spread = 0.0;
    /// How much of a score is of an example under one prompt only, in units of what all prompts have in common
    /// (standard deviations). Where it is much, samples that an incumbent makes probable are no others' choice.
    double own_noise = 0.3;
    /// Nobody needs more: the network is wrong in every forward pass, prompts that are new in a step are better
    /// than all others, but dev prefers older ones, so that the memory does not hold the incumbent; all texts are
    /// as long as they may be.
    bool is_most = false;
};

class DrawnScores {
  public:
    /// The network must outlive this object; `batch`: examples that candidates are compared on.
    DrawnScores(const Network& network, const RehearsalMood& mood, double batch)
        : network_(network), mood_(mood), batch_(batch) {
        common_ = 1.0 / std::sqrt(1.0 + mood.own_noise * mood.own_noise);
        own_ = mood.own_noise * common_;
    }
    /// What is new is so in this step.
    void begin(std::uint64_t step) { step_ = step; }
    /// How far the right answer is ahead when the network's last context is `context`: right above 0.
    /// `layers`: the parameters that were asked, the last layer's last.
    [[nodiscard]] double margin(const NetworkParameters& layers,
                                std::string_view context,
                                std::uint64_t example);
    /// A log-probability of each form of `wanted`'s class and the others, by margin().
    [[nodiscard]] std::vector<double> of_forms(double margin,
                                               std::size_t wanted,
                                               std::size_t template_index) const;
    /// log p of the right text, by margin().
    [[nodiscard]] static double of_answer(double margin);
    /// log p of a latent after its context, under a hidden layer's parameters.
    [[nodiscard]] double of_latent(std::size_t layer,
                                   const LayerParameters& parameters,
                                   std::string_view context,
                                   std::string_view latent,
                                   std::uint64_t example);
    /// The same under the template that drew it.
    [[nodiscard]] double of_sample(std::string_view context, std::string_view sample) const;

  private:
    [[nodiscard]] double quality(std::size_t layer, const LayerParameters& parameters) const;
    [[nodiscard]] bool is_new(std::size_t layer, const LayerParameters& parameters);
    [[nodiscard]] double normal(std::uint64_t kind, std::string_view text, std::uint64_t of) const;
    [[nodiscard]] double uniform(std::uint64_t kind, std::string_view text, std::uint64_t of) const;

    const Network& network_;
    RehearsalMood mood_;
    double batch_;
    double common_ = 1.0;  // shares of a score, whose squares sum to 1
    double own_ = 0.0;
    std::uint64_t step_ = 0;
    std::map<std::pair<std::size_t, LayerParameters>, std::uint64_t> born_;
};

/// Uniform in [0, 1): which of several texts is drawn, or a score's noise; `kind` tells uses apart.
[[nodiscard]] double drawn_by_text(std::uint64_t seed,
                                   std::uint64_t kind,
                                   std::string_view text,
                                   std::uint64_t of);
/// What drawn_by_text() tells texts by.
[[nodiscard]] std::uint64_t text_hash(std::string_view text);

}  // namespace dln
