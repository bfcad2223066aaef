#pragma once
// How the base weights of a model are made smaller: plain data. What is done is in dln/mop/compress.hpp.

namespace dln {

enum class Pruning {
    none,
    magnitude,  ///< the smallest weights of each matrix become 0
    wanda,      ///< those of each row that count least for what came in; arXiv 2306.11695
};

/// What each number of a matrix is rounded through, with the scales of ggml's blocks of 32.
enum class StorageType { f32, q8_0, q4_1 };

struct Compression {
    Pruning pruning = Pruning::none;
    double sparsity = 0.5;  ///< share of the weights that becomes 0, above 0 and below 1
    StorageType storage = StorageType::f32;
    [[nodiscard]] bool changes_nothing() const noexcept {
        return pruning == Pruning::none && storage == StorageType::f32;
    }
};

}  // namespace dln
