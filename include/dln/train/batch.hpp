#pragma once
// Which examples a step trains on: a pure function of (seed, step), so that a resumed run sees the same
// batches without any saved state. Pure.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dln {

class BatchSampler {
  public:
    /// `strata`: the examples to draw from, in one or several groups that get equal shares of a batch
    /// (class-balanced batches: a group a class). Groups may differ in size; empty ones are left out.
    BatchSampler(std::uint64_t seed,
                 std::size_t batch_size,
                 std::vector<std::vector<std::size_t>> strata);
    /// Indices of the batch of `step`, without repetition; at most batch_size, fewer when the data are.
    /// Each group is gone through in a new random order every epoch.
    [[nodiscard]] std::vector<std::uint64_t> batch(std::int64_t step) const;

  private:
    [[nodiscard]] std::vector<std::uint64_t> from_stratum(std::size_t stratum,
                                                          std::size_t count,
                                                          std::size_t stride,
                                                          std::int64_t step) const;
    std::uint64_t seed_;
    std::size_t batch_size_;
    std::vector<std::vector<std::size_t>> strata_;
};

}  // namespace dln
