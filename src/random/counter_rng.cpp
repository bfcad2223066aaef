#include "dln/random/counter_rng.hpp"

#include <numeric>
#include <utility>

#include <Random123/philox.h>

#include "dln/error.hpp"

namespace dln {

// DO NOT CHANGE how the key is laid out: it decides every number that a run has drawn.
CounterRng::CounterRng(const RandomKey& key)
    : key_{key.seed, static_cast<std::uint64_t>(key.role) | (key.layer << 32U)},
      counter_{0, key.step, key.example, key.sample} {
    DLN_ASSERT(key.layer >> 32U == 0, "layer {} would be cut to 32 bits", key.layer);
}

std::uint64_t CounterRng::next() {
    if (used_ == block_.size()) {
        const r123::Philox4x64::ctr_type counter{
            {counter_[0], counter_[1], counter_[2], counter_[3]}};
        const r123::Philox4x64::key_type key{{key_[0], key_[1]}};
        const auto block = r123::Philox4x64()(counter, key);
        for (std::size_t i = 0; i < block_.size(); ++i) {
            block_[i] = block[i];
        }
        ++counter_[0];
        used_ = 0;
    }
    return block_[used_++];
}

std::uint64_t CounterRng::below(std::uint64_t bound) {
    DLN_ASSERT(bound > 0, "nothing lies below 0");
    // The first 2^64 mod bound values would make the small results more frequent: draw again.
    const std::uint64_t excess = (0 - bound) % bound;
    auto bits = next();
    while (bits < excess) {
        bits = next();
    }
    return bits % bound;
}

double CounterRng::uniform() { return static_cast<double>(next() >> 11U) * 0x1p-53; }

std::vector<std::size_t> CounterRng::permutation(std::size_t n) {
    std::vector<std::size_t> result(n);
    std::iota(result.begin(), result.end(), std::size_t{0});
    for (auto i = n; i > 1; --i) {
        std::swap(result[i - 1], result[below(i)]);
    }
    return result;
}

}  // namespace dln
