#pragma once
// The generators behind generate_parts. Each makes one input whose right answer is the target with index
// `target`, drawing from `rng` alone.

#include <cstddef>
#include <string>

#include "dln/random/counter_rng.hpp"

namespace dln {

[[nodiscard]] std::string make_adjective_order(CounterRng& rng, std::size_t target);
[[nodiscard]] std::string make_navigate(CounterRng& rng, std::size_t target);
[[nodiscard]] std::string make_seven_object_deduction(CounterRng& rng, std::size_t target);

}  // namespace dln
