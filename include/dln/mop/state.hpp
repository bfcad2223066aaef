#pragma once
// What a run of a mixture must remember from one step to the next, and its form in a step file. Rank 0; pure data.

#include <cstdint>
#include <optional>
#include <vector>

#include "dln/mop/adam.hpp"
#include "dln/mop/mixture.hpp"
#include "dln/mop/split_result.hpp"
#include "dln/store/checkpoint_store.hpp"

namespace dln::mop {

/// Parameters that were best on dev, and what dev said of them.
struct BestMixture {
    std::int64_t step = 0;
    MixtureParameters parameters;
    SplitSums dev;
    friend bool operator==(const BestMixture&, const BestMixture&) = default;
};

struct MopState {
    std::int64_t steps_done = 0;
    MixtureParameters parameters;
    std::optional<AdamState> adam;  ///< of central training; clients of a federation begin anew
    std::optional<BestMixture> best;
    std::int64_t tokens = 0;  ///< answer tokens trained on so far
    friend bool operator==(const MopState&, const MopState&) = default;
};

/// Writes the state below "state/".
void write_state(const MopState& state, StepDocument& document);
/// Reads it back; throws CheckpointError that names what is missing or of another shape.
[[nodiscard]] MopState read_mop_state(const StepDocument& document);

/// The best parameters on dev, or the last ones where there is no dev split.
[[nodiscard]] const MixtureParameters& best_parameters(const MopState& state);

/// True in a step file of a mixture.
[[nodiscard]] bool holds_mixture(const StepDocument& document);

}  // namespace dln::mop
