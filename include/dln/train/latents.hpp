#pragma once
// The texts between the layers that a step works with. Pure data; rank 0 only.

#include <cstddef>
#include <string>
#include <vector>

namespace dln {

/// The hidden layers' outputs for one example, first layer first.
using Trajectory = std::vector<std::string>;

/// The latents of a batch, by position in it.
struct BatchLatents {
    std::size_t samples = 1;          ///< a position
    std::size_t hidden = 0;           ///< layers with latents: depth - 1
    std::vector<Trajectory> forward;  ///< of the incumbents
    std::vector<bool> has_forward;    ///< false: the forward pass failed
    std::vector<bool> is_wrong;       ///< the network's answer was
    std::vector<Trajectory> sampled;  ///< [position * samples + sample]
    std::vector<bool> is_drawn;       ///< the same; false: failed or empty, it has no weight

    BatchLatents() = default;
    BatchLatents(std::size_t positions, std::size_t samples_each, std::size_t hidden_layers)
        : samples(samples_each),
          hidden(hidden_layers),
          forward(positions),
          has_forward(positions, false),
          is_wrong(positions, false),
          sampled(positions * samples_each),
          is_drawn(positions * samples_each, false) {}
    [[nodiscard]] const Trajectory& sample(std::size_t position, std::size_t index) const {
        return sampled[position * samples + index];
    }
    [[nodiscard]] bool drawn(std::size_t position, std::size_t index) const {
        return is_drawn[position * samples + index];
    }
};

}  // namespace dln
