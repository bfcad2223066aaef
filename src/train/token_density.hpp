#pragma once
// How many tokens texts have, by their bytes. Pure.

#include <algorithm>
#include <cstddef>

namespace dln {

/// Tokens a byte, over a sample.
struct TokenDensity {
    double mean = 0.0;
    double most = 0.0;  ///< of a single text
};

/// Of texts that are added one by one.
class DensitySum {
  public:
    void add(double tokens, std::size_t bytes) {
        if (bytes == 0) return;
        tokens_ += tokens;
        bytes_ += static_cast<double>(bytes);
        most_ = std::max(most_, tokens / static_cast<double>(bytes));
    }
    [[nodiscard]] bool empty() const { return bytes_ == 0.0; }
    [[nodiscard]] TokenDensity density() const {
        return empty() ? TokenDensity{} : TokenDensity{tokens_ / bytes_, most_};
    }

  private:
    double tokens_ = 0.0;
    double bytes_ = 0.0;
    double most_ = 0.0;
};

}  // namespace dln
