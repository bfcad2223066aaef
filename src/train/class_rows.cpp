#include "train/class_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "dln/error.hpp"

namespace dln {

Array class_rows(const std::vector<ClassLogProbs>& rows) {
    std::size_t classes = 0;
    for (const ClassLogProbs& row : rows) classes = std::max(classes, row.size());
    std::vector<double> cells;
    for (ClassLogProbs row : rows) {
        row.resize(classes, std::numeric_limits<double>::quiet_NaN());
        cells.insert(cells.end(), row.begin(), row.end());
    }
    return Array::table(rows.size(), classes, std::move(cells));
}

std::vector<ClassLogProbs> read_class_rows(const StepDocument& document,
                                           const std::string& path,
                                           std::size_t count) {
    const std::vector<std::size_t> shape = document.at(path).shape;
    if (shape.size() != 2 || shape[0] != count) {
        throw CheckpointError(fmt::format("{}: tables of different lengths", path));
    }
    const std::vector<double>& cells = document.reals(path);
    std::vector<ClassLogProbs> rows(count);
    for (std::size_t r = 0; r < count; ++r) {
        const auto first = cells.begin() + static_cast<std::ptrdiff_t>(r * shape[1]);
        const auto last = first + static_cast<std::ptrdiff_t>(shape[1]);
        const bool is_there = std::all_of(first, last, [](double x) { return std::isfinite(x); });
        if (is_there) rows[r].assign(first, last);
    }
    return rows;
}

}  // namespace dln
