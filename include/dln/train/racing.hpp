#pragma once
// Racing: candidates that surely lose are not scored further (Hoeffding races, Maron and Moore 1994; here with
// paired Student bounds, since candidates are compared on the same examples). Pure; rank 0.

#include <cstddef>
#include <span>
#include <vector>

#include "dln/train/inference.hpp"

namespace dln {

/// Which of `racers` are still in the race: candidates, as indices into `values`, that have a value on every
/// example of `seen` and that the leader does not surely beat. The leader is the candidate with the highest
/// mean on `seen` among all in `values`, the first among equals. A racer is dropped when the lower bound of
/// its mean paired difference to the leader, at confidence 1 - `risk`, is above 0.
[[nodiscard]] std::vector<std::size_t> still_racing(const std::vector<ExampleValues>& values,
                                                    const std::vector<std::size_t>& racers,
                                                    std::span<const std::size_t> seen,
                                                    double risk);

}  // namespace dln
