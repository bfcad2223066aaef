#pragma once
// The configurations of a sweep. Configuration i is a pure function of the sweep file and i, so that a task of
// an array needs nobody to tell it which one is its own. Only TPE takes others than these. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dln/job/sweep_file.hpp"

namespace dln {

/// A field of the job and what it is in a configuration.
struct Setting {
    std::string pointer;
    nlohmann::ordered_json value;
    friend bool operator==(const Setting&, const Setting&) = default;
};

/// In the order of the file; a dimension whose condition does not hold is absent.
using Configuration = std::vector<Setting>;

class SearchSpace {
  public:
    /// Throws UsageError when the grid has more than kMostTrials configurations.
    explicit SearchSpace(const SweepSpec& spec);

    /// How many configurations there are. A grid has each distinct one once.
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Pre: i < size(). Cost grows with the dimensions, not with i.
    [[nodiscard]] Configuration configuration(std::uint64_t i) const;
    /// The one whose dimensions have these places (see value_at()), one a dimension, also of those that do not
    /// count.
    [[nodiscard]] Configuration at(const std::vector<double>& places) const;

  private:
    /// What a dimension may be in a grid, and the dimensions that depend on it. Conditions name dimensions further
    /// up, so they form a forest; `weights` count the configurations of the tree below each value.
    struct Node {
        std::vector<nlohmann::ordered_json> values;
        std::vector<std::uint64_t> weights;
        std::uint64_t size = 0;  ///< sum of weights
        std::vector<std::size_t> children;
    };

    void build_grid();
    [[nodiscard]] bool is_active_with(std::size_t child, const nlohmann::ordered_json& value) const;
    void decode(std::size_t node,
                std::uint64_t i,
                std::vector<const nlohmann::ordered_json*>& chosen) const;
    void decode_all(const std::vector<std::size_t>& nodes,
                    const nlohmann::ordered_json* parent_value,
                    std::uint64_t i,
                    std::vector<const nlohmann::ordered_json*>& chosen) const;

    SweepSpec spec_;
    std::uint64_t size_ = 0;
    std::vector<Node> nodes_;         ///< of a grid, one a dimension
    std::vector<std::size_t> roots_;  ///< of a grid: dimensions without condition
};

/// The value at `place`, in [0, 1), of a dimension: even over its values or its range (or its logarithm).
[[nodiscard]] nlohmann::ordered_json value_at(const SweepDimension& dimension, double place);

/// What a dimension may be in a grid: its values, or points of its range, each once.
[[nodiscard]] std::vector<nlohmann::ordered_json> grid_values(const SweepDimension& dimension);

}  // namespace dln
