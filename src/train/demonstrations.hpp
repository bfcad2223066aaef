#pragma once
// Examples of a batch that are written out behind an instruction, as a part of the prompt. Pure; rank 0 only.

#include <cstddef>
#include <string>
#include <vector>

#include "dln/random/counter_rng.hpp"
#include "dln/train/propose.hpp"

namespace dln {

/// A prompt in the two parts that with_demonstrations() put together.
struct DemonstratedPrompt {
    std::string instruction;
    std::string demonstrations;  ///< with what separates them from the instruction; empty: none
};
[[nodiscard]] DemonstratedPrompt split_demonstrations(const std::string& prompt);

/// The instruction in `prompt`, followed by `count` random examples of `batch` (all, where it has fewer):
/// "Examples:", then "Input: ..." and "Output: ..." with the target for each. Earlier demonstrations of the prompt
/// are left out. `is_balanced`: targets in equal shares, as far as the batch has them. Empty without examples.
[[nodiscard]] std::string with_demonstrations(const std::string& prompt,
                                              const std::vector<ShownExample>& batch,
                                              std::size_t count,
                                              bool is_balanced,
                                              CounterRng& random);

}  // namespace dln
