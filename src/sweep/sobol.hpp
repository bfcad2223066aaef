#pragma once
// Sobol's sequence (I. M. Sobol' 1967; direction numbers of S. Joe and F. Y. Kuo 2008, in Boost.Random), each
// coordinate shifted by random bits of its own (digital shift), which keeps its evenness. Pure.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dln {

/// Point `index` of the sequence in [0, 1)^dimensions; `seed` decides on the shift. Costs the same for every index.
/// Pre: 1 to 3667 dimensions.
[[nodiscard]] std::vector<double> sobol_point(std::size_t dimensions,
                                              std::uint64_t index,
                                              std::uint64_t seed);

}  // namespace dln
