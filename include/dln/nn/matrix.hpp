#pragma once
// Dense fp32 matrices, row-major. Pure data. Any rank.

#include <cstddef>
#include <span>
#include <vector>

namespace dln::nn {

struct Matrix {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::vector<float> values;  ///< [rows, columns]

    Matrix() = default;
    /// All zero.
    Matrix(std::size_t row_count, std::size_t column_count)
        : rows(row_count), columns(column_count), values(row_count * column_count) {}

    [[nodiscard]] std::span<float> row(std::size_t r) {
        return {values.data() + r * columns, columns};
    }
    [[nodiscard]] std::span<const float> row(std::size_t r) const {
        return {values.data() + r * columns, columns};
    }
    friend bool operator==(const Matrix&, const Matrix&) = default;
};

/// A matrix whose numbers lie elsewhere, such as in a mapped file that other processes read as well. They must outlive it.
struct MatrixView {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::span<const float> values;  ///< [rows, columns]

    MatrixView() = default;
    MatrixView(std::size_t row_count, std::size_t column_count, std::span<const float> numbers)
        : rows(row_count), columns(column_count), values(numbers) {}
    // Implicit: whoever looks at a matrix need not know who holds it.
    MatrixView(const Matrix& matrix)  // NOLINT(google-explicit-constructor)
        : rows(matrix.rows), columns(matrix.columns), values(matrix.values) {}

    [[nodiscard]] std::span<const float> row(std::size_t r) const {
        return values.subspan(r * columns, columns);
    }
};

}  // namespace dln::nn
