#pragma once
// Matrix products by OpenBLAS, the only place of cblas.h. Private to src/nn.

#include <cstddef>

namespace dln::nn {

enum class Transposed { no, yes };

/// Part of a row-major matrix: `stride` floats from one row to the next.
struct ConstBlock {
    const float* values = nullptr;
    std::size_t stride = 0;
};
struct Block {
    float* values = nullptr;
    std::size_t stride = 0;
};

/// c = scale a' b' + keep c, with a' [m, k] and b' [k, n] after transposing as said, and c [m, n].
void multiply(std::size_t m,
              std::size_t n,
              std::size_t k,
              ConstBlock a,
              Transposed a_transposed,
              ConstBlock b,
              Transposed b_transposed,
              Block c,
              float scale = 1.0F,
              float keep = 0.0F);

}  // namespace dln::nn
