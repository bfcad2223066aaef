#pragma once
// What evaluating a candidate costs, by the facts of texts. Pure; rank 0 only.

#include <vector>

#include "dln/llm/request_cost.hpp"
#include "dln/network/network.hpp"
#include "dln/train/evaluate.hpp"

#include "train/course.hpp"
#include "train/plan_texts.hpp"

namespace dln {

/// Bytes of a context as a function of the bytes of its prompt and its input.
struct ContextBytes {
    double fixed = 0.0;
    double per_prompt = 0.0;
    double per_input = 0.0;
};

/// Of contexts of `layer` in its template `t`.
[[nodiscard]] ContextBytes bytes_of_contexts(const Network& network,
                                             std::size_t layer,
                                             std::size_t t);

/// An EvaluationCost. With `is_most` texts are as long as those sampled can be. All arguments must outlive it.
class Pricing {
  public:
    Pricing(const Network& network,
            const RequestManner& manner,
            const BackendSpec& prices,
            const TextFacts& facts,
            bool is_most);
    [[nodiscard]] double density(const TokenDensity& density) const {
        return is_most_ ? density.most : density.mean;
    }
    [[nodiscard]] bool is_most() const { return is_most_; }
    [[nodiscard]] PlannedWork operator()(PlannedMeasure what,
                                         const PlannedPrompt& prompt,
                                         std::size_t template_index,
                                         const ExampleSums& examples) const;

  private:
    [[nodiscard]] Measure measure_of(PlannedMeasure what) const;
    [[nodiscard]] double context_tokens(const PlannedPrompt& prompt,
                                        std::size_t template_index,
                                        double input_bytes) const;
    [[nodiscard]] double context_density(const PlannedPrompt& prompt,
                                         std::size_t template_index) const;
    [[nodiscard]] double output_tokens(const PlannedPrompt& prompt) const;

    const Network* network_;
    const RequestManner* manner_;
    const BackendSpec* prices_;
    const TextFacts* facts_;
    bool is_most_;
    std::vector<ContextBytes> bytes_;
};

}  // namespace dln
