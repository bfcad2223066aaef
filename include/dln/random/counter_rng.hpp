#pragma once
// Random numbers from a counter (Philox 4x64, Random123): a stream is a pure function of its key, so what
// is drawn never depends on the rank, on arrival order or on what was drawn elsewhere. A resumed run needs
// no generator state in its step file. Pure.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dln {

/// What a stream is for. The values enter the key: DO NOT CHANGE or reuse them.
enum class RandomRole : std::uint64_t {
    batch = 1,
    proposal_order = 2,
    proposal_sampling = 3,
    forward_sampling = 4,
    few_shot = 5,
    data_split = 6,
    data_generator = 7,
    scripted_reply = 8,
    prediction = 9,
    retry_delay = 10,
    plan = 11,
    posterior_sampling = 12,
    illustration = 13,
    comparison = 14,
    bootstrap = 15,
    proposal_edit = 20,
    proposal_crossover = 21,
    proposal_demonstrations = 22,
    proposal_words = 23,
    clusters = 25,
    sweep = 30,
    mixture_initial = 40,
    mixture_clients = 41,
    mixture_round = 42,
    mixture_batch = 43,
};

/// The whole key of a stream; two streams with different keys are independent.
struct RandomKey {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    std::uint64_t layer = 0;
    RandomRole role = RandomRole::batch;
    std::uint64_t example = 0;
    std::uint64_t sample = 0;
};

class CounterRng {
  public:
    explicit CounterRng(const RandomKey& key);
    /// The next 64 random bits.
    [[nodiscard]] std::uint64_t next();
    /// Uniform in [0, bound), without bias. Pre: bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
    /// Uniform in [0, 1), 53 bits.
    [[nodiscard]] double uniform();
    /// A random permutation of 0..n-1 (Fisher-Yates).
    [[nodiscard]] std::vector<std::size_t> permutation(std::size_t n);

  private:
    std::array<std::uint64_t, 2> key_;
    std::array<std::uint64_t, 4> counter_;
    std::array<std::uint64_t, 4> block_{};
    std::size_t used_ = 4;
};

}  // namespace dln
