#include "dln/network/clusters.hpp"

#include <limits>

namespace dln {
namespace {

constexpr std::size_t kStarts = 10;
constexpr std::size_t kMostRounds = 50;

using Rows = std::span<const std::span<const float>>;
using Centre = std::vector<double>;

double square_distance(std::span<const float> row, const Centre& centre) {
    double sum = 0.0;
    for (std::size_t d = 0; d < row.size(); ++d) {
        const double difference = static_cast<double>(row[d]) - centre[d];
        sum += difference * difference;
    }
    return sum;
}

// A row by chance, those far from all centres rather than others.
std::size_t drawn(const std::vector<double>& nearest, CounterRng& random) {
    double total = 0.0;
    for (const double square : nearest) total += square;
    if (total <= 0.0) return random.below(nearest.size());
    double left = random.uniform() * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < nearest.size(); ++i) {
        if (nearest[i] <= 0.0) continue;
        last = i;
        left -= nearest[i];
        if (left < 0.0) break;
    }
    return last;
}

std::vector<Centre> first_centres(Rows rows, std::size_t clusters, CounterRng& random) {
    std::vector<Centre> centres;
    std::vector<double> nearest(rows.size(), std::numeric_limits<double>::max());
    std::size_t next = random.below(rows.size());
    for (std::size_t c = 0; c < clusters; ++c) {
        centres.emplace_back(rows[next].begin(), rows[next].end());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            nearest[i] = std::min(nearest[i], square_distance(rows[i], centres.back()));
        }
        next = drawn(nearest, random);
    }
    return centres;
}

struct Clustering {
    std::vector<std::size_t> of_rows;
    double square_sum = 0.0;
};

Clustering nearest_centres(Rows rows, const std::vector<Centre>& centres) {
    Clustering clustering;
    for (const auto& row : rows) {
        std::size_t best = 0;
        double least = std::numeric_limits<double>::max();
        for (std::size_t c = 0; c < centres.size(); ++c) {
            const double square = square_distance(row, centres[c]);
            if (square >= least) continue;
            least = square;
            best = c;
        }
        clustering.of_rows.push_back(best);
        clustering.square_sum += least;
    }
    return clustering;
}

// A centre without rows stays where it is.
void move_centres(Rows rows,
                  const std::vector<std::size_t>& of_rows,
                  std::vector<Centre>& centres) {
    std::vector<Centre> sums(centres.size(), Centre(centres.front().size(), 0.0));
    std::vector<double> counts(centres.size(), 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        counts[of_rows[i]] += 1.0;
        for (std::size_t d = 0; d < rows[i].size(); ++d) {
            sums[of_rows[i]][d] += static_cast<double>(rows[i][d]);
        }
    }
    for (std::size_t c = 0; c < centres.size(); ++c) {
        if (counts[c] == 0.0) continue;
        for (std::size_t d = 0; d < sums[c].size(); ++d) centres[c][d] = sums[c][d] / counts[c];
    }
}

Clustering settle(Rows rows, std::vector<Centre> centres) {
    Clustering clustering = nearest_centres(rows, centres);
    for (std::size_t round = 0; round < kMostRounds; ++round) {
        move_centres(rows, clustering.of_rows, centres);
        Clustering next = nearest_centres(rows, centres);
        const bool is_settled = next.of_rows == clustering.of_rows;
        clustering = std::move(next);
        if (is_settled) break;
    }
    return clustering;
}

std::vector<std::size_t> in_order_of_first(std::vector<std::size_t> of_rows, std::size_t clusters) {
    std::vector<std::size_t> number(clusters, clusters);
    std::size_t next = 0;
    for (std::size_t& cluster : of_rows) {
        if (number[cluster] == clusters) number[cluster] = next++;
        cluster = number[cluster];
    }
    return of_rows;
}

}  // namespace

std::vector<std::size_t> cluster_rows(Rows rows, std::size_t clusters, CounterRng random) {
    if (rows.empty()) return {};
    Clustering best;
    for (std::size_t start = 0; start < kStarts; ++start) {
        Clustering next = settle(rows, first_centres(rows, clusters, random));
        if (start == 0 || next.square_sum < best.square_sum) best = std::move(next);
    }
    return in_order_of_first(std::move(best.of_rows), clusters);
}

}  // namespace dln
