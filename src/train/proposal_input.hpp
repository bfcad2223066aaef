#pragma once
// What a layer's proposals start from, of what is known before a step. Pure; rank 0 only.

#include <cstddef>

#include "dln/network/network.hpp"
#include "dln/train/propose.hpp"
#include "dln/train/state.hpp"

namespace dln {

/// `input` with the prompts, words and history that `state` knows of an expert of a layer (0: the only one of most).
[[nodiscard]] ProposalInput with_known(ProposalInput input,
                                       const Network& network,
                                       const TrainState& state,
                                       std::size_t layer,
                                       std::size_t expert);

}  // namespace dln
