#pragma once
// New prompts without a model: phrases of the prompts that are known, put together otherwise. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "dln/random/counter_rng.hpp"

namespace dln {

/// `prompt` in pieces, which end behind punctuation and before conjunctions; together they are the prompt.
[[nodiscard]] std::vector<std::string> phrases_of(std::string_view prompt);

/// `prompt` without one of its phrases, with two of them swapped, or with a phrase of `others` that it does not
/// have. Empty when it has one phrase only and the others have no new one.
[[nodiscard]] std::string edited_prompt(const std::string& prompt,
                                        const std::vector<std::string>& others,
                                        CounterRng& random);

/// Some of the first phrases of one prompt, and some of the last of the other; which of the two comes first is
/// random.
[[nodiscard]] std::string crossed_prompts(const std::string& one,
                                          const std::string& other,
                                          CounterRng& random);

}  // namespace dln
