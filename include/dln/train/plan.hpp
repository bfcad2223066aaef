#pragma once
// What a training run will ask of its backend, before any of it is paid for. Pure but for counting tokens.

#include <cstdint>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// A kind of work in a plan. Tokens as if every call stood alone: what a run reports as such.
struct PlannedWork {
    std::int64_t scoring_calls = 0;
    std::int64_t generation_calls = 0;
    std::int64_t context_tokens = 0;
    std::int64_t generated_tokens = 0;  ///< at most: max_tokens each
    PlannedWork& operator+=(const PlannedWork& other);
    [[nodiscard]] PlannedWork times(std::int64_t count) const;
};

struct Plan {
    PlannedWork step;  ///< one step with full memory and no duplicate candidates
    std::int64_t steps = 0;
    PlannedWork dev;  ///< one evaluation
    std::int64_t dev_evaluations = 0;
    PlannedWork test;                ///< trained and initial prompts
    std::int64_t longest_chain = 0;  ///< calls that must wait for each other, over the whole run
    [[nodiscard]] PlannedWork total() const;
};

/// `splits` are train, dev, test. Mean lengths come from the first 200 examples of a split.
[[nodiscard]] Plan make_plan(const Job& job,
                             const Network& network,
                             const std::vector<Dataset>& splits,
                             Backend& backend);

}  // namespace dln
