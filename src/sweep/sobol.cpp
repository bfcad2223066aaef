#include "sweep/sobol.hpp"

#include <cmath>

#include <boost/random/sobol.hpp>

#include "dln/random/counter_rng.hpp"

namespace dln {

std::vector<double> sobol_point(std::size_t dimensions, std::uint64_t index, std::uint64_t seed) {
    constexpr int kBits = 53;
    boost::random::sobol sequence(dimensions);
    // Boost leaves out the first point, the origin. Without it the first 2^k points are less even.
    if (index > 0) sequence.discard((index - 1) * dimensions);
    std::vector<double> point;
    for (std::size_t d = 0; d < dimensions; ++d) {
        // No configuration is drawn from this step: the stream is the sequence's own.
        CounterRng shift(
            {.seed = seed, .step = ~std::uint64_t{0}, .layer = d, .role = RandomRole::sweep});
        const std::uint64_t coordinate = index > 0 ? sequence() : 0;
        const std::uint64_t bits = (coordinate ^ shift.next()) >> (64 - kBits);
        point.push_back(std::ldexp(static_cast<double>(bits), -kBits));
    }
    return point;
}

}  // namespace dln
