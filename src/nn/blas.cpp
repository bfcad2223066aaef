#include "nn/blas.hpp"

#include <cblas.h>

namespace dln::nn {
namespace {

CBLAS_TRANSPOSE flag(Transposed transposed) {
    return transposed == Transposed::yes ? CblasTrans : CblasNoTrans;
}

blasint size(std::size_t value) { return static_cast<blasint>(value); }

// Ranks are the parallelism: a thread each, and the same sums on any machine with as many.
void use_one_thread() {
    static const bool done = [] {
        openblas_set_num_threads(1);
        return true;
    }();
    static_cast<void>(done);
}

}  // namespace

void multiply(std::size_t m,
              std::size_t n,
              std::size_t k,
              ConstBlock a,
              Transposed a_transposed,
              ConstBlock b,
              Transposed b_transposed,
              Block c,
              float scale,
              float keep) {
    use_one_thread();
    if (m == 0 || n == 0) return;
    // sgemm copies b into blocks first, which takes as long as reading it: twice the time for one row.
    if (m == 1 && a_transposed == Transposed::no && b_transposed == Transposed::yes) {
        cblas_sgemv(CblasRowMajor, CblasNoTrans, size(n), size(k), scale, b.values, size(b.stride),
                    a.values, 1, keep, c.values, 1);
        return;
    }
    cblas_sgemm(CblasRowMajor, flag(a_transposed), flag(b_transposed), size(m), size(n), size(k),
                scale, a.values, size(a.stride), b.values, size(b.stride), keep, c.values,
                size(c.stride));
}

}  // namespace dln::nn
